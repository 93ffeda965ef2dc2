"""What a program asks for, and the one message it becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from swim_client import SWIMClient
from swim_client.events import EventType
from swim_client.subscriptions import (
    PendingSubscription,
    Subscriptions,
    merge,
    read_channels,
    read_filters,
    read_history,
    read_span,
)


def test_channels_add_up_and_filters_merge_by_kind() -> None:
    channels, filters, history = merge(
        [
            PendingSubscription(["flight.departed"], {"airports": ["KJFK"], "artccs": ["ZNY"]}),
            PendingSubscription(["tmi.*", "flight.departed"], {"airports": ["KLAX"]}, {"last": 5}),
            PendingSubscription(["system.*"], {}, {"last": 9}),
        ]
    )
    assert channels == ["flight.departed", "tmi.*", "system.*"]
    assert filters == {"airports": ["KLAX"], "artccs": ["ZNY"]}
    assert history == {"last": 5}


def test_granted_wishes_become_one() -> None:
    subscriptions = Subscriptions()
    wishes = [PendingSubscription([f"made.up{number}"], {"artccs": ["ZNY"]}) for number in range(50)]
    for wish in wishes:
        subscriptions.add(wish)
    subscriptions.confirm(wishes)
    (whole,) = subscriptions.snapshot().wishes
    assert len(whole.channels) == 50
    assert subscriptions.covers(PendingSubscription(["made.up7"]))
    assert subscriptions.covers(PendingSubscription(["made.up7"], {"artccs": ["ZNY"]}))
    assert not subscriptions.covers(PendingSubscription(["made.up7"], {"artccs": ["ZBW"]}))
    assert not subscriptions.covers(PendingSubscription(["made.up50"]))


def test_since_is_kept_and_last_is_not() -> None:
    subscriptions = Subscriptions()
    for history in ({"since": "2026-01-16T14:30:15Z"}, {"last": 5}):
        wish = PendingSubscription(["a.b"], {}, history)
        subscriptions.add(wish)
        subscriptions.confirm([wish])
    assert subscriptions.snapshot().wishes[0].history == {"since": "2026-01-16T14:30:15Z"}


def test_a_refused_wish_is_forgotten_and_the_others_stay() -> None:
    subscriptions = Subscriptions()
    good, bad = PendingSubscription(["flight.*"]), PendingSubscription(["flihgt.*"])
    subscriptions.add(good)
    subscriptions.add(bad)
    subscriptions.refuse(bad)
    assert subscriptions.snapshot().wishes == [good]


def test_taking_channels_away_keeps_the_filters_until_none_is_left() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(PendingSubscription(["flight.*", "tmi.*"], {"airports": ["KJFK"]}))
    subscriptions.remove(["tmi.*"])
    channels, filters, _ = merge(subscriptions.snapshot().wishes)
    assert (channels, filters) == (["flight.*"], {"airports": ["KJFK"]})
    subscriptions.remove(["flight.*"])
    assert not subscriptions


def test_taking_all_away_leaves_nothing() -> None:
    subscriptions = Subscriptions()
    subscriptions.add(PendingSubscription(["flight.*"], {"airports": ["KJFK"]}))
    subscriptions.remove([])
    assert subscriptions.snapshot().wishes == []


def test_each_change_has_a_later_version() -> None:
    subscriptions = Subscriptions()
    versions = [
        subscriptions.add(PendingSubscription(["a.b"])),
        subscriptions.remove([]),
        subscriptions.add(PendingSubscription(["a.c"])),
    ]
    assert versions == sorted(set(versions))
    assert subscriptions.snapshot().version == versions[-1]


def test_channels_may_be_named_in_several_ways() -> None:
    assert read_channels("flight.*") == ["flight.*"]
    assert read_channels([EventType.TMI_ALL, " flight.created "]) == ["tmi.*", "flight.created"]
    assert read_channels(("a.b",)) == ["a.b"]


@pytest.mark.parametrize(("channels", "error"), [([5], TypeError), ([""], ValueError), ([None], TypeError)])
def test_what_is_no_channel_is_refused_here(channels: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a channel is a"):
        read_channels(channels)


def test_filters_get_the_form_of_the_wire() -> None:
    east = timezone(timedelta(hours=2))
    assert read_filters(
        {
            "airports": "KJFK",
            "artccs": ("ZNY", "ZBW"),
            "firs": None,
            "phase": [],
            "bbox": (42, 39, -72, -76),
            "dep_window_start": datetime(2026, 1, 16, 16, 0, tzinfo=east),
            "dep_window_end": "2026-01-16T18:00:00Z",
            "later_kind": {"x": 1},
        }
    ) == {
        "airports": ["KJFK"],
        "artccs": ["ZNY", "ZBW"],
        "phase": [],
        "bbox": {"north": 42, "south": 39, "east": -72, "west": -76},
        "dep_window_start": "2026-01-16T14:00:00Z",
        "dep_window_end": "2026-01-16T18:00:00Z",
        "later_kind": {"x": 1},
    }


def test_history_is_asked_for_in_one_way() -> None:
    assert read_history(None, None, 5) == {"last": 5}
    assert read_history(None, datetime(2026, 1, 16, 14, 0), None) == {"since": "2026-01-16T14:00:00Z"}
    assert read_history(None, None, None) == {}
    with pytest.raises(ValueError, match="after and last"):
        read_history("1-0", None, 5)
    with pytest.raises(ValueError, match="no event id"):
        read_history("yesterday", None, None)


@pytest.mark.parametrize("since", ["10m", " 600s ", timedelta(minutes=10)])
def test_span_means_so_long_before_now(since: Any) -> None:
    told = datetime.fromisoformat(read_history(None, since, None)["since"].replace("Z", "+00:00"))
    assert abs((datetime.now(UTC) - told).total_seconds() - 600) < 60


@pytest.mark.parametrize("text", ["", "10", "m", "10 weeks", "2026-01-16T14:30:15Z"])
def test_other_texts_are_no_span(text: str) -> None:
    assert read_span(text) is None


def test_kind_given_in_filters_is_kept_where_the_argument_of_the_same_name_is_left_out() -> None:
    client = SWIMClient("swim_dev_x", "ws://127.0.0.1:1/")
    client.subscribe(["flight.*"], filters={"airports": ["KJFK"], "phase": ["climb"]}, phase="cruise")
    assert client._subscriptions.snapshot().wishes[0].filters == {"airports": ["KJFK"], "phase": ["cruise"]}
