"""Flow measures: what the current list says about the previous one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from swim_server.detection.flow_measures import (
    FlowMeasure,
    InvalidMeasures,
    MeasureBook,
    compare_measures,
    decode_measures,
    decode_regions,
)
from swim_server.protocol.filters import EMPTY, merge
from swim_server.protocol.payloads import check_payload
from swim_server.protocol.timestamps import parse_ms

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "ecfmp" / "flow_measures.json"
BEFORE, DURING, AFTER = (parse_ms(f"2025-05-04T{hour}:00:00Z") for hour in (17, 18, 21))


def measure(**values: Any) -> FlowMeasure:
    """The first recorded one, or one like it."""
    fields = {
        "id": 1669,
        "ident": "LSAS04B",
        "event_id": None,
        "reason": "Weather and airport capacity.",
        "starttime": "2025-05-04T17:30:00Z",
        "endtime": "2025-05-04T20:00:00Z",
        "measure": {"type": "minimum_departure_interval", "value": 240},
        "filters": [{"type": "ADEP", "value": ["LOWS"]}, {"type": "ADES", "value": ["LSZB"]}],
        "withdrawn_at": None,
    }
    return msgspec.convert(fields | values, FlowMeasure)


class Life:
    """Looks at the list now and then, the book kept as JSON in between."""

    def __init__(self) -> None:
        self.book = MeasureBook(scope="ecfmp:")
        self.ids: list[str | None] = []

    def look(self, now_ms: int, *measures: FlowMeasure, answered: bool = True) -> list[tuple[str, Any]]:
        compared = compare_measures(self.book, measures if answered else None, now_ms)
        again = compare_measures(self.book, measures if answered else None, now_ms)
        assert again == compared, "the same input gives the same output"
        for event in compared.events:
            check_payload(event.type, event.data)
        self.ids += [event.event_id for event in compared.events]
        self.book = msgspec.json.decode(msgspec.json.encode(compared.book), type=MeasureBook)
        return [(event.type, event.data["status"]) for event in compared.events]


def test_a_measure_is_issued_when_it_is_notified_and_its_start_is_no_event() -> None:
    life = Life()
    assert life.look(BEFORE, measure()) == [("tmi.issued", "NOTIFIED")]
    assert life.look(DURING, measure()) == []


def test_a_measure_that_is_active_at_first_sight_is_issued() -> None:
    compared = compare_measures(MeasureBook(scope="ecfmp:"), [measure()], DURING)
    (event,) = compared.events
    assert event.data == {
        "program_id": 1669,
        "program_type": "minimum_departure_interval",
        "airport": "LSZB",
        "start_time": "2025-05-04T17:30:00.000Z",
        "end_time": "2025-05-04T20:00:00.000Z",
        "reason": "Weather and airport capacity.",
        "status": "ACTIVE",
        "ident": "LSAS04B",
        "event_id": None,
        "measure": {"type": "minimum_departure_interval", "value": 240},
        "filters": [{"type": "ADEP", "value": ["LOWS"]}, {"type": "ADES", "value": ["LSZB"]}],
        "dep": "LOWS",
        "arr": "LSZB",
        "deps": ["LOWS"],
        "arrs": ["LSZB"],
        "airports": ["LOWS", "LSZB"],
        "firs": [],
    }


MANY = [{"type": "ADEP", "value": ["EGLL", "EGKK"]}, {"type": "ADES", "value": ["LSZH", "LS**"]}]


def test_a_measure_that_concerns_many_lists_them_beside_the_single_fields() -> None:
    given = measure(filters=MANY, notified_flight_information_regions=[48, 7, 99])
    (event,) = compare_measures(MeasureBook(), [given], DURING, {48: "LSAS", 7: "EGTT"}).events
    assert (event.data["airport"], event.data["dep"], event.data["arr"]) == (None, None, None)
    assert event.data["airports"] == ["EGKK", "EGLL", "LS**", "LSZH"]
    assert (event.data["deps"], event.data["arrs"]) == (["EGKK", "EGLL"], ["LS**", "LSZH"])
    assert event.data["firs"] == ["EGTT", "LSAS"]


def test_the_release_of_a_measure_concerns_the_same_as_its_issue() -> None:
    life = Life()
    life.look(DURING, measure(filters=MANY))
    (event,) = compare_measures(life.book, None, AFTER).events
    for code in ("EGKK", "LSGG"):
        assert merge(EMPTY, {"airports": [code]}).passes(event.type, event.data)


def test_the_same_filters_in_another_order_are_no_modification() -> None:
    life = Life()
    life.look(DURING, measure(filters=MANY))
    turned = [{"type": one["type"], "value": one["value"][::-1]} for one in MANY[::-1]]
    assert life.look(DURING, measure(filters=turned)) == []


def test_regions_are_identifiers_by_number() -> None:
    assert decode_regions(b'[{"id": 48, "identifier": "lsas", "name": "Swiss"}]') == {48: "LSAS"}
    with pytest.raises(InvalidMeasures):
        decode_regions(b"{}")


def test_what_had_ended_or_was_withdrawn_before_it_was_seen_is_not_announced() -> None:
    assert Life().look(AFTER, measure()) == []
    assert Life().look(DURING, measure(withdrawn_at="2025-05-04T17:45:00Z")) == []


def test_withdrawn_is_released_at_the_time_of_the_withdrawal_and_stays_so() -> None:
    life = Life()
    life.look(DURING, measure())
    compared = compare_measures(life.book, [measure(withdrawn_at="2025-05-04T17:45:00Z")], DURING)
    (event,) = compared.events
    assert (event.type, event.timestamp_ms) == ("tmi.released", parse_ms("2025-05-04T17:45:00Z"))
    assert event.data == {
        "program_id": 1669,
        "program_type": "minimum_departure_interval",
        "airport": "LSZB",
        "status": "WITHDRAWN",
        "end_time": "2025-05-04T20:00:00.000Z",
        "airports": ["LOWS", "LSZB"],
        "firs": [],
    }
    assert life.look(DURING, measure(withdrawn_at="2025-05-04T17:45:00Z")) == [("tmi.released", "WITHDRAWN")]
    assert life.look(DURING, measure()) == [], "a stale copy of the list issues nothing"


def test_the_end_is_noticed_by_the_clock_even_without_an_answer() -> None:
    life = Life()
    life.look(DURING, measure())
    assert life.look(AFTER, answered=False) == [("tmi.released", "EXPIRED")]
    assert life.look(AFTER, measure()) == []


def test_absent_from_two_answers_in_a_row_is_withdrawn_and_back_again_is_issued() -> None:
    life = Life()
    life.look(DURING, measure())
    assert life.look(DURING) == []
    assert life.look(DURING, answered=False) == [], "no answer says nothing about absence"
    assert life.look(DURING) == [("tmi.released", "WITHDRAWN")]
    assert life.look(DURING, measure()) == [("tmi.issued", "ACTIVE")]
    assert len(set(life.ids)) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"endtime": "2025-05-04T21:00:00Z"},
        {"reason": "Fog"},
        {"measure": {"type": "minimum_departure_interval", "value": 300}},
        {"filters": [{"type": "ADES", "value": ["LSZB", "LSZH"]}]},
    ],
)
def test_other_terms_are_a_modification_once_each(change: dict[str, Any]) -> None:
    life = Life()
    life.look(BEFORE, measure())
    assert life.look(BEFORE, measure(**change)) == [("tmi.modified", "NOTIFIED")]
    assert life.look(BEFORE, measure(**change)) == []
    assert life.look(BEFORE, measure()) == [("tmi.modified", "NOTIFIED")]
    assert len(set(life.ids)) == 3


@pytest.mark.parametrize(
    ("filters", "airport"),
    [
        ([{"type": "ADES", "value": ["EGLL", "EGKK"]}, {"type": "ADEP", "value": ["EDDF"]}], "EDDF"),
        ([{"type": "ADES", "value": ["EG**"]}], None),
        ([{"type": "level", "value": 340}], None),
        ([{"type": "ADES", "value": None}], None),
        ([{"type": "ades", "value": "egll"}], "EGLL"),
        ([], None),
    ],
)
def test_the_aerodrome_is_the_one_that_is_named_alone(filters: list[Any], airport: str | None) -> None:
    (event,) = compare_measures(MeasureBook(), [measure(filters=filters)], DURING).events
    assert event.data["airport"] == airport


def test_entries_that_can_not_be_read_cost_only_themselves() -> None:
    good = msgspec.to_builtins(measure())
    rows = [good, None, 5, {**good, "id": "x"}, {**good, "starttime": "soon"}, {"id": 3}]
    measures, dropped = decode_measures(msgspec.json.encode(rows))
    assert [one.id for one in measures] == [1669]
    assert dropped == 5


@pytest.mark.parametrize("document", [b"", b"{}", b"null", b"<html>", b"[", b"\xff"])
def test_a_document_that_is_no_list_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidMeasures):
        decode_measures(document)


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recorded measures in {RECORDED}")
def test_the_recorded_measures_are_all_issued_and_all_released() -> None:
    measures, dropped = decode_measures(RECORDED.read_bytes())
    life = Life()
    assert dropped == 0
    assert len(life.look(BEFORE, *measures)) == 6
    assert life.look(parse_ms("2025-05-07T00:00:00Z"), *measures) == [("tmi.released", "EXPIRED")] * 6
