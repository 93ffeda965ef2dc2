"""Reading filters: what is accepted, and that each refusal names the kind and the value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.codes import ErrorCode
from swim_server.protocol.filter_values import KINDS, MAX_VALUES, InvalidFilter
from swim_server.protocol.filters import EMPTY, Filters, merge

LIST_KINDS = ("airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase")
TIME_KINDS = ("dep_window_start", "dep_window_end")
WORLD = {"north": 90, "south": -90, "east": 180, "west": -180}


def refusal_of(raw: object) -> InvalidFilter:
    with pytest.raises(InvalidFilter) as refusal:
        Filters.parse(raw)
    assert refusal.value.code is ErrorCode.INVALID_FILTER
    assert len(str(refusal.value)) < 350
    return refusal.value


@pytest.mark.parametrize("raw", [None, {}, []])
def test_no_filters_change_nothing(raw: object) -> None:
    current = merge(EMPTY, {"airports": ["KJFK"]})
    assert merge(current, raw) == current


@pytest.mark.parametrize("raw", ["airports", 5, True, ["airports"], [{}], 1.5])
def test_filters_that_are_no_object_are_refused(raw: object) -> None:
    assert refusal_of(raw).kind == "filters"


@pytest.mark.parametrize("kind", LIST_KINDS)
@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("KJFK", "KJFK"),
        ("", ""),
        (5, "5"),
        (True, "true"),
        ({}, "{}"),
        ({"KJFK": True}, '{"KJFK":true}'),
        ([5], "5"),
        (["KJFK", None], "null"),
        ([["KJFK"]], '["KJFK"]'),
        ([True], "true"),
        ([""], ""),
        (["   "], "   "),
        (["KJFK,KLAX"], "KJFK,KLAX"),
        (["BAW*"], "BAW*"),
        (["K\x00FK"], "K\x00FK"),
        (["É"], "É"),
    ],
)
def test_list_kind_with_anything_but_a_list_of_codes_is_refused_by_name(kind: str, value: object, named: str) -> None:
    refusal = refusal_of({kind: value})
    assert refusal.kind == kind
    assert refusal.data == {"kind": kind, "value": named}
    assert str(refusal).startswith(f"filter {kind}: must be ")


def test_refusal_reads_as_a_sentence() -> None:
    assert (
        str(refusal_of({"airports": "KJFK"})) == 'filter airports: must be a list of strings, like ["KJFK"], got "KJFK"'
    )


@pytest.mark.parametrize("kind", LIST_KINDS)
def test_list_kind_longer_than_the_limit_is_refused_with_the_limit(kind: str) -> None:
    assert "at most 1000 values, got 1001" in str(refusal_of({kind: ["KJFK"] * (MAX_VALUES + 1)}))
    Filters.parse({kind: ["KJFK"] * MAX_VALUES})


def test_firs_and_constrained_firs_share_one_limit() -> None:
    raw = {"firs": [f"A{n}" for n in range(600)], "constrained_firs": [f"B{n}" for n in range(600)]}
    assert "at most 1000 values, got 1200" in str(refusal_of(raw))


@pytest.mark.parametrize("kind", ["airports", "callsign_prefix"])
def test_code_longer_than_the_limit_is_refused_and_shown_cut(kind: str) -> None:
    refusal = refusal_of({kind: ["A" * 17]})
    assert "1 to 16" in str(refusal)
    assert len(refusal_of({kind: ["A" * 100_000]}).data["value"]) <= 80


@pytest.mark.parametrize("code", ["39N", "ATL", "KJFK", "egll", " kjfk ", "ADR-W", "KZNY_OC", "A", "EGTT/N"])
def test_codes_of_every_shape_in_use_are_read_in_upper_case(code: str) -> None:
    assert merge(EMPTY, {"airports": [code]}).airports == {code.strip().upper()}


@pytest.mark.parametrize("phase", ["EN_ROUTE", "en route", "taxi-out"])
def test_phases_may_hold_blanks(phase: str) -> None:
    assert merge(EMPTY, {"phase": [phase]}).phases == {phase.upper()}


@pytest.mark.parametrize("kind", TIME_KINDS)
@pytest.mark.parametrize("value", ["", "tomorrow", "14:30", 1_768_573_815, True, ["2026-01-16T14:30:15Z"], {}, 1e300])
def test_window_end_that_is_no_time_is_refused_by_name(kind: str, value: object) -> None:
    assert refusal_of({kind: value}).kind == kind


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"north": None}, "null"),
        ({"north": "40"}, "40"),
        ({"east": True}, "true"),
        ({"south": [1]}, "[1]"),
        ({"north": 91}, "91"),
        ({"south": -90.5}, "-90.5"),
        ({"east": 181}, "181"),
        ({"west": -180.01}, "-180.01"),
        ({"west": float("nan")}, "null"),
        ({"west": float("inf")}, "null"),
        ({"north": 10**400}, None),
    ],
)
def test_box_with_an_impossible_edge_is_refused_with_edge_and_value(change: dict[str, Any], named: str | None) -> None:
    refusal = refusal_of({"bbox": {**WORLD, **change}})
    assert refusal.kind == "bbox"
    assert next(iter(change)) in str(refusal)
    assert named is None or refusal.data["value"] == named


@pytest.mark.parametrize("edge", list(WORLD))
def test_box_without_an_edge_is_refused_with_its_name(edge: str) -> None:
    box = {name: degrees for name, degrees in WORLD.items() if name != edge}
    assert f"bbox: {edge} must be a number" in str(refusal_of({"bbox": box}))


@pytest.mark.parametrize("value", ["40,-80,30,-70", [40, 30, -70, -80], 5, True])
def test_box_that_is_no_object_is_refused(value: object) -> None:
    assert refusal_of({"bbox": value}).kind == "bbox"


def test_box_upside_down_is_refused() -> None:
    assert "north edge" in str(refusal_of({"bbox": {"north": 10, "south": 20, "east": 10, "west": 0}}))


def test_box_may_be_a_point_and_may_cross_the_antimeridian_and_ignores_further_fields() -> None:
    Filters.parse({"bbox": {"north": 10, "south": 10, "east": 5, "west": 5, "name": "here"}})
    Filters.parse({"bbox": {"north": 10, "south": -10, "east": -170, "west": 170}})


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("airport", "did you mean airports?"),
        ("callsign_prefixes", "did you mean callsign_prefix?"),
        ("Airports", "did you mean airports?"),
        ("zzz", "there are airports, artccs"),
        ("", "there are airports"),
        ("x" * 100_000, "there are airports"),
    ],
)
def test_unknown_kind_is_refused_with_the_nearest_or_all_that_there_are(kind: str, hint: str) -> None:
    refusal = refusal_of({"airports": ["KJFK"], kind: ["KJFK"]})
    assert hint in str(refusal)
    assert refusal.kind == kind[:80]


def test_window_that_ends_before_it_starts_is_refused_also_when_merged() -> None:
    late, early = "2026-01-16T15:00:00Z", "2026-01-16T14:00:00Z"
    current = merge(EMPTY, {"dep_window_start": late})
    with pytest.raises(InvalidFilter, match="dep_window_end: must not be before 2026-01-16T15:00:00"):
        merge(current, {"dep_window_end": early})
    assert (
        merge(current, {"dep_window_end": late}).dep_window[0] == merge(EMPTY, {"dep_window_end": late}).dep_window[1]
    )


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(anything | st.dictionaries(st.sampled_from(KINDS), anything, max_size=4))
def test_any_json_is_read_or_refused_and_never_raises_anything_else(raw: object) -> None:
    try:
        filters = merge(EMPTY, raw)
    except InvalidFilter as refusal:
        assert len(str(refusal)) < 350
        return
    assert merge(EMPTY, filters.to_wire()) == filters
