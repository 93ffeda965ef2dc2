"""Why filters stop an event: every clause's verdict agrees with the filters' own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from support.any_filters import events, filters
from swim_server.protocol.explanation import Clause, explain, without
from swim_server.protocol.filters import EMPTY, Filters, merge


def wanting(**raw: Any) -> Filters:
    return merge(EMPTY, raw)


@given(filters, events())
def test_explanation_agrees_with_passes(chosen: Filters, event: tuple[str, dict[str, Any]]) -> None:
    event_type, data = event
    found = explain(chosen, event_type, data)
    assert found.passes == chosen.passes(event_type, data)
    assert (found.stopped_by is None) == found.passes


@given(filters, events())
def test_explanation_counts_what_cut_keeps(chosen: Filters, event: tuple[str, dict[str, Any]]) -> None:
    event_type, data = event
    found = explain(chosen, event_type, data)
    if event_type == "flight.positions" and chosen:
        cut = chosen.cut(data)
        assert found.remaining == (len(cut["positions"]) if cut is not None else 0)
    elif event_type != "flight.positions":
        assert found.remaining is found.positions is None


@given(filters, events())
def test_without_the_only_clause_that_stops_it_an_event_passes(
    chosen: Filters, event: tuple[str, dict[str, Any]]
) -> None:
    event_type, data = event
    stopping = [clause.kind for clause in explain(chosen, event_type, data).clauses if not clause.passes]
    if event_type != "flight.positions" and len(stopping) == 1:
        assert without(chosen, stopping[0]).passes(event_type, data)


def test_clause_names_what_was_wanted_and_what_the_event_has() -> None:
    found = explain(wanting(airports=["kjfk"]), "flight.departed", {"dep": "egll", "arr": "EDDF"})
    assert found.clauses == [Clause(kind="airports", wanted=["KJFK"], found=["EGLL", "EDDF"], passes=False)]


def test_event_without_the_field_has_nothing_there() -> None:
    assert explain(wanting(artccs=["ZNY"]), "flight.departed", {"current_artcc": None}).clauses[0].found == []


def test_kind_that_does_not_apply_to_the_family_lets_it_pass() -> None:
    found = explain(wanting(callsign_prefix=["DAL"], airports=["KJFK"]), "tmi.issued", {"airport": "KJFK"})
    assert [(clause.kind, clause.applies, clause.passes) for clause in found.clauses] == [
        ("callsign_prefix", False, True),
        ("airports", True, True),
    ]


def test_window_is_one_clause_with_both_ends() -> None:
    window = wanting(dep_window_start="2026-01-16T14:00:00Z", dep_window_end="2026-01-16T15:00:00Z")
    (clause,) = explain(window, "flight.created", {"etd": "2026-01-16T16:00:00Z"}).clauses
    assert clause.kind == "dep_window"
    assert clause.wanted == {
        "dep_window_start": "2026-01-16T14:00:00.000Z", "dep_window_end": "2026-01-16T15:00:00.000Z"
    }  # fmt: skip
    assert (clause.found, clause.passes) == (["2026-01-16T16:00:00.000Z"], False)


def test_time_out_of_range_is_told_as_it_is() -> None:
    (clause,) = explain(wanting(dep_window_end="2026-01-16T15:00:00Z"), "flight.created", {"etd": 10**15}).clauses
    assert clause.found == [f"{10**18} ms"]


def test_batch_tells_how_many_positions_each_clause_leaves() -> None:
    rows = [{"callsign": "DAL1", "dep": "KJFK"}, {"callsign": "DAL2", "dep": "EGLL"}, {"callsign": "BAW9"}]
    found = explain(
        wanting(callsign_prefix=["DAL"], airports=["KLAX"]), "flight.positions", {"count": 3, "positions": rows}
    )
    assert [(clause.kind, clause.remaining, clause.found) for clause in found.clauses] == [
        ("callsign_prefix", 2, ["DAL1", "DAL2"]),
        ("airports", 0, ["KJFK", "EGLL"]),
    ]
    assert (found.positions, found.remaining, found.passes) == (3, 0, False)


def test_values_are_cut_short() -> None:
    rows = [{"callsign": f"X{number}" * 100} for number in range(100)]
    (clause,) = explain(wanting(callsign_prefix=["DAL"]), "flight.positions", {"positions": rows}).clauses
    assert len(clause.found) == 20
    assert max(map(len, clause.found)) == 80


@pytest.mark.parametrize("kind", ["airports", "artccs", "firs", "callsign_prefix", "phase", "dep_window", "bbox"])
def test_each_clause_can_be_left_out(kind: str) -> None:
    every = wanting(
        airports=["KJFK"], artccs=["ZNY"], firs=["EGTT"], callsign_prefix=["DAL"], phase=["TAXI"],
        dep_window_start="2026-01-16T14:00:00Z", bbox={"north": 1, "south": 0, "east": 1, "west": 0},
    )  # fmt: skip
    kinds = {clause.kind for clause in explain(every, "flight.created", {}).clauses}
    assert {clause.kind for clause in explain(without(every, kind), "flight.created", {}).clauses} == kinds - {kind}


@pytest.mark.parametrize(
    ("filters", "matched"),
    [
        ({"airports": ["EGKK"]}, ["EG**"]),
        ({"airports": ["LSZH"]}, ["LSZH"]),
        ({"airports": ["KJFK"]}, []),
        ({"firs": ["LSAS"]}, ["LSAS"]),
    ],
)
def test_element_that_matched_is_told(filters: dict[str, Any], matched: list[str]) -> None:
    data = {"airports": ["EG**", "LSZH"], "firs": ["LSAS", "EDGG"]}
    found = explain(wanting(**filters), "tmi.issued", data)
    assert found.clauses[0].matched == matched
    assert found.passes is bool(matched)


def test_element_of_a_batch_that_matched_is_told() -> None:
    rows = [{"dep": "EGLL", "arr": "KJFK"}, {"dep": "LFPG", "arr": "EDDF"}]
    (clause,) = explain(wanting(airports=["EGLL"]), "flight.positions", {"positions": rows}).clauses
    assert (clause.found, clause.matched) == (["EGLL", "KJFK"], ["EGLL"])
