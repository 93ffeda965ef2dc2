"""A subscription is a value: channels add up, filters merge."""

from __future__ import annotations

import pytest
from support.streaming_rig import flight, positions
from swim_server.protocol.channels import Catalogue, InvalidChannel
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import stamp
from swim_server.protocol.filters import Filters, InvalidFilter
from swim_server.streaming.subscription import NOTHING, sift

CATALOGUE = Catalogue()
DELTA = Filters(callsign_prefixes=frozenset({"DAL"}))


def test_channels_add_up_and_filters_merge_by_kind() -> None:
    first = NOTHING.subscribe(["flight.*"], {"airports": ["KJFK"]}, CATALOGUE)
    second = first.subscribe([" tmi.* "], {"artccs": ["zny"], "airports": []}, CATALOGUE)
    assert second.to_wire() == {"channels": ["flight.*", "tmi.*"], "filters": {"artccs": ["ZNY"]}}


def test_equal_wishes_are_equal_values() -> None:
    one = NOTHING.subscribe(["tmi.*", "flight.*"], {"airports": ["KJFK", "klax"]}, CATALOGUE)
    other = NOTHING.subscribe(["flight.*"], {"airports": ["KLAX", "KJFK"]}, CATALOGUE).subscribe(
        ["tmi.*"], None, CATALOGUE
    )
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("channels", "filters", "error"),
    [(["flight.*", "no.such"], None, InvalidChannel), (["flight.*"], {"airports": "KJFK"}, InvalidFilter)],
)
def test_wrong_wish_changes_nothing(channels: list[str], filters: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        NOTHING.subscribe(channels, filters, CATALOGUE)


def test_unsubscribing_leaves_the_other_channels_and_the_filters() -> None:
    both = NOTHING.subscribe(["flight.*", "tmi.*"], {"airports": ["KJFK"]}, CATALOGUE)
    assert both.unsubscribe(["tmi.*"]).to_wire() == {"channels": ["flight.*"], "filters": {"airports": ["KJFK"]}}


@pytest.mark.parametrize("channels", [[], ["flight.*"], ["flight.*", "tmi.*"]])
def test_unsubscribing_from_everything_leaves_nothing(channels: list[str]) -> None:
    one = NOTHING.subscribe(["flight.*"], {"airports": ["KJFK"]}, CATALOGUE)
    assert one.unsubscribe(channels) == NOTHING


def test_unsubscribing_from_what_was_not_subscribed_changes_nothing() -> None:
    one = NOTHING.subscribe(["flight.*"], None, CATALOGUE)
    assert one.unsubscribe(["flight.departed"]) == one


def test_event_passes_whole_or_not_at_all() -> None:
    event = stamp(flight("DAL1"), EventId(1, 0))
    assert sift(event, DELTA) is event
    assert sift(event, Filters(callsign_prefixes=frozenset({"BAW"}))) is None


def test_batch_passes_in_parts() -> None:
    event = stamp(positions("DAL1", "BAW1", "DAL2"), EventId(1, 0))
    rest = sift(event, DELTA)
    assert rest is not None
    assert rest.id == event.id
    assert rest.data == {"count": 2, "positions": [{"callsign": "DAL1"}, {"callsign": "DAL2"}]}
    assert sift(event, Filters()) is event
    assert sift(stamp(positions("DAL1"), EventId(1, 0)), DELTA) is not None
