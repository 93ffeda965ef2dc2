"""Parts of a state are messages that every client accepts."""

from __future__ import annotations

import json

from support.naive_state import FIRST_MS
from swim_server.protocol.event_id import EventId
from swim_server.state.kinds import FLIGHTS, SPLITS, TMIS, declare
from swim_server.state.messages import entered, left, parts

AS_OF = EventId(FIRST_MS, 3)


def test_parts_hold_every_row_once_within_the_limit() -> None:
    rows = [json.dumps({"flight_uid": number, "route": "x" * (number % 700)}).encode() for number in range(500)]
    for limit in (4096, 65_535):
        messages, left_out = parts([(FLIGHTS, rows), (TMIS, []), (SPLITS, [b'{"config_id":1}'])], AS_OF, limit)
        decoded = [json.loads(message) for message in messages]
        assert left_out == 0
        assert all(len(message) <= limit for message in messages)
        assert [row["flight_uid"] for part in decoded for row in part["data"].get("flights", ())] == list(range(500))
        assert [part["kind"] for part in decoded[-2:]] == ["tmis", "splits"]
        assert [part["part"] for part in decoded] == [*range(1, len(decoded) - 1), 1, 1]
        assert [part["is_last"] for part in decoded] == [*[False] * (len(decoded) - 1), True]
        assert decoded[-2]["data"] == {"tmis": []}
        assert {part["as_of"] for part in decoded} == {str(AS_OF)}


def test_row_that_is_longer_than_a_message_is_left_out_and_counted() -> None:
    messages, left_out = parts([(FLIGHTS, [b"{}", b'{"route":"' + b"x" * 5000 + b'"}', b"{}"])], AS_OF, 4096)
    assert left_out == 1
    assert [json.loads(message)["data"]["flights"] for message in messages] == [[{}, {}]]


def test_what_comes_into_and_leaves_filters_is_named_by_its_key() -> None:
    assert json.loads(entered(FLIGHTS, b'{"flight_uid":7}', AS_OF)) == {
        "type": "state.entered", "id": str(AS_OF), "kind": "flights", "data": {"flight_uid": 7},
    }  # fmt: skip
    assert json.loads(left(FLIGHTS, 7, AS_OF)) == {
        "type": "state.left", "id": str(AS_OF), "kind": "flights", "flight_uid": 7, "callsign": None,
    }  # fmt: skip
    assert json.loads(left(FLIGHTS, "DAL1", AS_OF))["callsign"] == "DAL1"
    reports = declare("reports", "weather", ["station", "hour"], [])
    assert json.loads(left(reports, ("KJFK", 4), AS_OF)) == {
        "type": "state.left", "id": str(AS_OF), "kind": "reports", "station": "KJFK", "hour": 4,
    }  # fmt: skip
