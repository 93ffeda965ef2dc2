"""Events: numbered once, encoded once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, encode, stamp

DATA = {"callsign": "BAW123", "flight_uid": 9_007_199_254_740_991, "dep": "EGLL", "arr": None, "list": [1, 2.5, True]}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Surrogates can't be encoded; check_data keeps them out.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_wire_form_holds_type_timestamp_id_and_data_in_that_order() -> None:
    event = stamp(NewEvent(type="flight.departed", data=DATA, timestamp_ms=1_768_573_815_123), EventId(5, 6))
    assert list(json.loads(event.wire).items()) == [
        ("type", "flight.departed"),
        ("timestamp", "2026-01-16T14:30:15.123Z"),
        ("id", "5-6"),
        ("data", DATA),
    ]


def test_event_without_a_time_gets_that_of_its_arrival() -> None:
    event = stamp(NewEvent(type="system.notice", data={}), EventId(1_768_573_815_123, 0))
    assert json.loads(event.wire)["timestamp"] == "2026-01-16T14:30:15.123Z"


def test_moment_zero_is_a_time() -> None:
    event = stamp(NewEvent(type="system.notice", data={}, timestamp_ms=0), EventId(1_768_573_815_123, 0))
    assert json.loads(event.wire)["timestamp"] == "1970-01-01T00:00:00.000Z"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=5))
def test_data_decoded_from_the_wire_is_the_data_that_was_encoded(data: dict[str, object]) -> None:
    event = encode("system.notice", "2026-01-16T14:30:15.123Z", EventId(5, 6), data)
    assert Event(event.id, event.type, event.wire).data == data


def test_data_is_decoded_once() -> None:
    stored = Event(EventId(5, 6), "system.notice", b'{"data":{"a":1}}')
    assert stored.data is stored.data


@pytest.mark.parametrize(
    ("type", "family"), [("flight.departed", "flight"), ("ctp.slots.optimized", "ctp"), ("x", "x")]
)
def test_family_is_what_stands_before_the_first_dot(type: str, family: str) -> None:
    assert Event(EventId(5, 6), type, b"{}").family == family


def test_event_with_other_data_keeps_its_type_time_and_id() -> None:
    event = encode("flight.positions", "2026-01-16T14:30:15.123Z", EventId(5, 6), {"text": '"data":', "count": 2})
    other = event.with_data({"count": 1})
    assert json.loads(other.wire) == {**json.loads(event.wire), "data": {"count": 1}}
    assert (other.id, other.type, other.data) == (event.id, event.type, {"count": 1})


def test_representation_names_id_and_type() -> None:
    assert repr(Event(EventId(5, 6), "tmi.issued", b"{}")) == "Event(5-6, tmi.issued)"
