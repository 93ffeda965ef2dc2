"""An entry of the event file as an event, and the id by which it is recognised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.sources.event_file.entry import (
    RECENT_SECONDS,
    Batch,
    EntryReader,
    InvalidEntry,
    RecentNames,
    digest,
    read_parts,
    read_time,
)

MOMENT = 1_768_573_815_000


def read(content: str, file: str = "a file", recent: RecentNames | None = None, now: float = 0.0) -> Batch:
    reader = EntryReader(Catalogue(), file, recent or RecentNames(), now)
    first, last = reader.feed(content.encode()), reader.finish()
    return Batch(first.events + last.events, first.rejected + last.rejected)


def names(content: str, file: str = "a file", recent: RecentNames | None = None, now: float = 0.0) -> list[str | None]:
    return [event.event_id for event in read(content, file, recent, now).events]


# reading


def read_entry(entry: dict[str, Any], catalogue: Catalogue) -> NewEvent:
    event, bad = read_parts(entry, catalogue)
    assert not bad
    return event


def test_an_entry_becomes_an_event_with_its_own_time() -> None:
    entry = {"type": "flight.departed", "data": {"dep": "KJFK"}, "_received_at": "2026-01-16T14:30:15Z"}
    assert read_entry(entry, Catalogue()) == NewEvent(type="flight.departed", data={"dep": "KJFK"}, timestamp_ms=MOMENT)


def test_an_entry_without_a_time_has_none() -> None:
    assert read_entry({"type": "flight.departed", "data": {}}, Catalogue()).timestamp_ms is None


def test_a_timestamp_is_the_time_where_received_at_is_none() -> None:
    entry = {"type": "flight.departed", "data": {}, "_received_at": "now", "timestamp": "2026-01-16T14:30:15Z"}
    assert read_entry(entry, Catalogue()).timestamp_ms == MOMENT


def test_an_empty_object_that_php_made_an_array_of_is_an_object() -> None:
    assert read_entry({"type": "flight.departed", "data": []}, Catalogue()).data == {}


def test_a_declared_type_is_read() -> None:
    assert read_entry({"type": "weather.sigmet", "data": {}}, Catalogue({"weather": ["sigmet"]})).data == {}


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("2026-01-16T14:30:15Z", MOMENT),
        ("2026-01-16T14:30:15.250+00:00", MOMENT + 250),
        ("2026-01-16T15:30:15+01:00", MOMENT),
        ("2026-01-16 14:30:15", MOMENT),
        (" 2026-01-16T14:30:15Z ", MOMENT),
        (1_768_573_815, MOMENT),
        (1_768_573_815.25, MOMENT + 250),
        ("1768573815", MOMENT),
        ("1768573815.25", MOMENT + 250),
        (1_768_573_815_250, MOMENT + 250),
        (None, None),
        ("", None),
        ("yesterday", None),
        ("0000-00-00 00:00:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        (0, None),
        (-1, None),
        (10**30, None),
        (float("nan"), None),
        (float("inf"), None),
        ("nan", None),
        ("1e400", None),
        (True, None),
        ([1], None),
        ({}, None),
    ],
)
def test_times_are_read_in_every_form_or_not_at_all(value: object, milliseconds: int | None) -> None:
    assert read_time(value) == milliseconds


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({}, "no type"),
        ({"data": {}}, "no type"),
        ({"type": None, "data": {}}, "type: must be an event type, got null"),
        ({"type": 5, "data": {}}, "type: must be an event type, got 5"),
        ({"type": "flight.departd", "data": {}}, "did you mean flight.departed?"),
        ({"type": "flight.*", "data": {}}, "unknown event type"),
        ({"type": "*", "data": {}}, "unknown event type"),
        ({"type": "Flight.Departed", "data": {}}, "unknown event type"),
        ({"type": "flight.departed"}, "no data"),
        ({"type": "flight.departed", "data": None}, "data: must be an object, got null"),
        ({"type": "flight.departed", "data": [1]}, "data: must be an object"),
        ({"type": "flight.departed", "data": "x"}, "data: must be an object"),
        ({"type": "flight.departed", "data": {"x": float("inf")}}, "data.x"),
        ({"type": "flight.departed", "data": {"x": 2**70}}, "data.x"),
        ({"type": "flight.departed", "data": {"x": "\udc80"}}, "data.x"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(entry: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEntry) as refused:
        read_entry(entry, Catalogue())
    assert reason in str(refused.value)


def test_a_refused_entry_is_given_back_as_it_was_written() -> None:
    batch = read('[{"type":"flight.departed","data":{}},\n {"type": "nonsense",  "data": {"é": "\\u00e9"}}]')
    assert len(batch.events) == 1
    (rejected,) = batch.rejected
    assert rejected.text == '{"type": "nonsense",  "data": {"é": "\\u00e9"}}'
    assert "unknown event type" in rejected.reason


scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=5
)


@given(values)
def test_any_json_is_an_event_or_refused(value: Any) -> None:
    for entry in ({"type": "flight.created", "data": value}, {"type": value, "data": {}, "_received_at": value}):
        read(json.dumps(entry))
        assert digest(entry) == digest(json.loads(json.dumps(entry)))


# names


def stamped(number: int) -> str:
    return json.dumps({"type": "tmi.issued", "data": {"number": number}, "_received_at": "2026-01-16T14:30:15Z"})


def unstamped(number: int) -> str:
    return json.dumps({"type": "tmi.issued", "data": {"number": number}})


def test_equal_entries_in_one_file_have_different_names() -> None:
    for write in (stamped, unstamped):
        found = names(f"[{write(1)},{write(1)},{write(2)}]")
        assert len(set(found)) == 3


def test_a_file_read_again_gives_the_same_names() -> None:
    for write in (stamped, unstamped):
        content = f"[{write(1)},{write(1)},{write(2)}]"
        assert names(content) == names(content)
        assert names(content) == names(content + write(3))[:3]


def test_an_entry_with_a_time_has_its_name_in_every_file() -> None:
    assert names(stamped(1), "one file") == names(f"[{stamped(1)}]", "another file")


def test_formatting_makes_no_other_name() -> None:
    written = '{"type":"tmi.issued","data":{"a":1.0,"b":{},"c":"é/"},"_received_at":5}'
    written_again = '{ "_received_at": 5, "data": {"c": "\\u00e9\\/", "b": [], "a": 1}, "type": "tmi.issued" }'
    assert names(written) == names(written_again)


def test_other_content_makes_another_name() -> None:
    texts = [
        '{"type":"tmi.issued","data":{"a":1}}',
        '{"type":"tmi.issued","data":{"a":"1"}}',
        '{"type":"tmi.issued","data":{"a":1.5}}',
        '{"type":"tmi.issued","data":{"a":null}}',
        '{"type":"tmi.released","data":{"a":1}}',
        '{"type":"tmi.issued","data":{"a":1},"more":1}',
        '{"type":"tmi.issued","data":{"a":1},"more":"\\ud800"}',
    ]
    assert len({names(text)[0] for text in texts}) == len(texts)


def test_an_entry_without_a_time_that_comes_back_soon_keeps_its_name() -> None:
    recent = RecentNames()
    first = names(unstamped(1), "one file", recent, now=100)
    assert names(f"[{unstamped(1)},{unstamped(2)}]", "another file", recent, now=101)[:1] == first
    assert names(unstamped(1), "a third file", recent, now=101 + RECENT_SECONDS) == first


def test_an_entry_without_a_time_that_comes_later_is_another() -> None:
    recent = RecentNames()
    first = names(unstamped(1), "one file", recent, now=100)
    assert names(unstamped(1), "another file", recent, now=101 + RECENT_SECONDS) != first
    recent.forget(now=1000)
    assert names(unstamped(1), "one file", recent, now=1000) == first


def test_memory_of_names_is_bounded() -> None:
    recent = RecentNames(limit=10)
    for number in range(100):
        names(unstamped(number), "one file", recent, now=0)
        recent.forget(now=0)
    assert names(unstamped(99), "another file", recent) == names(unstamped(99), "one file")
    assert names(unstamped(1), "another file", recent) != names(unstamped(1), "one file")


def test_loose_fields_of_a_slot_event_are_its_data() -> None:
    entry = {"type": "ctp_slot_assigned", "callsign": "BAW1", "slot": {"at": "12:00"}, "_received_at": "2026-01-16"}
    event = read_entry(entry, Catalogue())
    assert (event.type, event.data) == ("ctp_slot_assigned", {"callsign": "BAW1", "slot": {"at": "12:00"}})


def test_slot_event_with_data_keeps_it() -> None:
    assert read_entry({"type": "ctp_slot_missed", "data": {"a": 1}}, Catalogue()).data == {"a": 1}


def test_loose_fields_of_any_other_type_are_no_data() -> None:
    with pytest.raises(InvalidEntry, match="no data"):
        read_entry({"type": "ctp.session.updated", "callsign": "BAW1"}, Catalogue())


def test_unknown_type_is_set_aside_under_its_name() -> None:
    (piece,) = read('{"type": "tmi.foo", "data": {}}').rejected
    assert piece.unknown_type == "tmi.foo"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"callsign": "BAD1", "latitude": "", "longitude": 1.0}, "data.positions[7].latitude"),
        ({"callsign": "BAD1", "latitude": None, "longitude": 1.0}, "has no latitude and longitude"),
        ({"callsign": "BAD1", "latitude": 91.0, "longitude": 1.0}, "data.positions[7].latitude"),
        ({"callsign": 7, "latitude": 1.0, "longitude": 1.0}, "data.positions[7].callsign"),
        ("BAD1", "data.positions[7]"),
    ],
)
def test_one_bad_position_is_set_aside_and_the_rest_of_its_batch_is_published(bad: Any, reason: str) -> None:
    rows: list[Any] = [{"callsign": f"A{n}", "latitude": "51.5", "longitude": 0.1} for n in range(299)]
    rows.insert(7, bad)
    batch = read(json.dumps([{"type": "flight.positions", "data": {"count": 300, "positions": rows}}]))
    (event,), (aside,) = batch.events, batch.rejected
    assert (event.data["count"], len(event.data["positions"])) == (299, 299)
    assert reason in aside.reason
    assert json.loads(aside.text)["data"]["positions"] == [bad]


def test_batch_without_a_sound_position_is_set_aside_as_a_whole() -> None:
    batch = read('[{"type": "flight.positions", "data": {"positions": [{"callsign": "A", "latitude": ""}]}}]')
    assert batch.events == []
    assert len(batch.rejected) == 1
