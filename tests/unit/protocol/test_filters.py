"""Filters: the table of the protocol, clause by clause; how they merge; how batches are cut."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.filters import EMPTY, Filters, merge

BOX = {"north": 45, "south": 40, "east": -70, "west": -80}
T14, T15, T16 = (f"2026-01-16T{hour}:00:00Z" for hour in (14, 15, 16))

FLIGHT = {
    "callsign": "BAW123",
    "dep": "KJFK",
    "arr": "EGLL",
    "current_artcc": "ZNY",
    "latitude": 40.6,
    "longitude": -73.8,
    "phase": "EN_ROUTE",
    "etd": T15,
}


def filters(**raw: Any) -> Filters:
    return merge(EMPTY, raw)


# Kinds: which fields they look at. (raw filter, event data, whether it passes)

TABLE: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"airports": ["KJFK"]}, {"dep": "KJFK"}, True),
    ({"airports": ["KJFK"]}, {"departure_aerodrome": "KJFK"}, True),
    ({"airports": ["KJFK"]}, {"arr": "KJFK"}, True),
    ({"airports": ["KJFK"]}, {"arrival_aerodrome": "KJFK"}, True),
    ({"airports": ["KJFK"]}, {"airport": "KJFK"}, True),
    ({"airports": ["KJFK"]}, {"dep": "EGLL", "arr": "KLAX", "arrived_at": "KJFK"}, True),
    ({"airports": ["KBOS"]}, {"dep": "EGLL", "arr": "KLAX", "arrived_at": "KJFK"}, False),
    ({"airports": ["KJFK"]}, {"dep": "EGLL", "departure_aerodrome": "KJFK"}, True),
    ({"airports": ["KJFK", "KLAX"]}, {"dep": "EGLL", "arr": "KLAX"}, True),
    ({"airports": ["KJFK"]}, {"dep": "EGLL", "arr": "KLAX"}, False),
    ({"airports": ["KJFK"]}, {"dep": " kjfk "}, True),
    ({"airports": ["kjfk "]}, {"dep": "KJFK"}, True),
    ({"airports": ["KJF"]}, {"dep": "KJFK"}, False),
    ({"airports": ["KJFK"]}, {"dep": None, "arr": ""}, False),
    ({"airports": ["KJFK"]}, {}, False),
    ({"artccs": ["ZNY"]}, {"current_artcc": "ZNY"}, True),
    ({"artccs": ["ZNY"]}, {"artcc": "zny"}, True),
    ({"artccs": ["ZNY"]}, {"facility": "ZNY"}, True),
    ({"artccs": ["ZNY"]}, {"current_fir": "ZNY"}, False),
    ({"artccs": ["ZNY"]}, {"current_artcc": "ZBW"}, False),
    ({"artccs": ["ZNY"]}, {}, False),
    ({"firs": ["EGTT"]}, {"current_fir": "EGTT"}, True),
    ({"firs": ["EGTT"]}, {"current_artcc": "EGTT"}, True),
    ({"firs": ["EGTT"]}, {"traversed_firs": ["CZQX", "egtt"]}, True),
    ({"firs": ["EGTT"]}, {"traversed_firs": "CZQX, egtt"}, True),
    ({"firs": ["EGTT"]}, {"traversed_firs": "CZQX,EGTTX"}, False),
    ({"firs": ["EGTT"]}, {"artcc": "EGTT"}, False),
    ({"firs": ["EGTT"]}, {}, False),
    ({"constrained_firs": ["EGTT"]}, {"current_fir": "EGTT"}, True),
    ({"firs": ["EGTT"], "constrained_firs": ["CZQX"]}, {"current_fir": "EGTT"}, True),
    ({"firs": ["EGTT"], "constrained_firs": ["CZQX"]}, {"current_fir": "CZQX"}, True),
    ({"firs": [], "constrained_firs": ["CZQX"]}, {"current_fir": "CZQX"}, True),
    ({"firs": ["EGTT"], "constrained_firs": []}, {"current_fir": "EGGX"}, False),
    ({"callsign_prefix": ["BAW"]}, {"callsign": "BAW123"}, True),
    ({"callsign_prefix": ["baw"]}, {"callsign": "BAW123"}, True),
    ({"callsign_prefix": ["BAW"]}, {"callsign": " baw123"}, True),
    ({"callsign_prefix": ["AAL", "BAW1"]}, {"callsign": "BAW123"}, True),
    ({"callsign_prefix": ["BAW"]}, {"callsign": "XBAW"}, False),
    ({"callsign_prefix": ["BAW123X"]}, {"callsign": "BAW123"}, False),
    ({"callsign_prefix": ["BAW"]}, {"callsign": None}, False),
    ({"callsign_prefix": ["BAW"]}, {}, False),
    ({"phase": ["EN_ROUTE"]}, {"phase": "en_route"}, True),
    ({"phase": ["EN_ROUTE"]}, {"phase": "TAXI"}, False),
    ({"phase": ["EN_ROUTE"]}, {"phase": None}, True),
    ({"phase": ["EN_ROUTE"]}, {"phase": ""}, True),
    ({"phase": ["EN_ROUTE"]}, {}, True),
    ({"dep_window_start": T15}, {"estimated_off_block_time": T15}, True),
    ({"dep_window_start": T15}, {"etd": T16}, True),
    ({"dep_window_start": T15}, {"etd": T14}, False),
    ({"dep_window_end": T15}, {"etd": T15}, True),
    ({"dep_window_end": T15}, {"etd": "2026-01-16T15:00:00.001Z"}, False),
    ({"dep_window_start": T14, "dep_window_end": T15}, {"etd": "2026-01-16T16:30:00+02:00"}, True),
    ({"dep_window_start": T14, "dep_window_end": T15}, {"etd": T16}, False),
    ({"dep_window_start": T15}, {"etd": None}, True),
    ({"dep_window_start": T15}, {"etd": "unreadable"}, True),
    ({"dep_window_start": T15}, {}, True),
    ({"bbox": BOX}, {"lat": 42, "lon": -75}, True),
    ({"bbox": BOX}, {"latitude": 42.5, "longitude": -75.5}, True),
    ({"bbox": BOX}, {"latitude": 45, "longitude": -80}, True),
    ({"bbox": BOX}, {"latitude": 40, "longitude": -70}, True),
    ({"bbox": BOX}, {"latitude": 45.001, "longitude": -75}, False),
    ({"bbox": BOX}, {"latitude": 42, "longitude": 75}, False),
    ({"bbox": BOX}, {"latitude": 42}, False),
    ({"bbox": BOX}, {"latitude": None, "longitude": None}, False),
    ({"bbox": BOX}, {}, False),
    ({"bbox": {**BOX, "east": -170, "west": 170}}, {"latitude": 42, "longitude": 179}, True),
    ({"bbox": {**BOX, "east": -170, "west": 170}}, {"latitude": 42, "longitude": -179}, True),
    ({"bbox": {**BOX, "east": -170, "west": 170}}, {"latitude": 42, "longitude": -75}, False),
]


@pytest.mark.parametrize(("raw", "data", "passes"), TABLE)
def test_kind_compares_the_fields_of_the_protocols_table(
    raw: dict[str, Any], data: dict[str, Any], passes: bool
) -> None:
    assert merge(EMPTY, raw).passes("flight.departed", data) is passes
    assert merge(EMPTY, raw).passes("flight.positions", {"count": 1, "positions": [data]}) is passes


def test_no_filter_lets_everything_pass() -> None:
    for event_type in Catalogue().types:
        assert EMPTY.passes(event_type, {})
    assert not EMPTY


def test_kinds_are_joined_by_and() -> None:
    assert filters(airports=["KJFK"], artccs=["ZNY"], callsign_prefix=["BAW"]).passes("flight.departed", FLIGHT)
    assert not filters(airports=["KJFK"], artccs=["ZBW"]).passes("flight.departed", FLIGHT)


# Families that a kind can't be judged on.

ELSEWHERE: dict[str, Any] = {
    "callsign_prefix": ["XXX"],
    "phase": ["XXX"],
    "dep_window_start": "2040-01-01T00:00:00Z",
    "airports": ["XXXX"],
    "artccs": ["XXX"],
    "firs": ["XXXX"],
    "bbox": {"north": 1, "south": 0, "east": 1, "west": 0},
}
EXEMPT = {
    "tmi": {"callsign_prefix", "phase", "dep_window_start"},
    "aman": {"callsign_prefix", "phase", "dep_window_start"},
    "splits": {"callsign_prefix", "phase", "dep_window_start", "airports"},
    "system": {"callsign_prefix", "phase", "dep_window_start", "airports"},
}


@pytest.mark.parametrize("event_type", sorted(Catalogue({"weather": ["sigmet"]}).types - {"flight.positions"}))
@pytest.mark.parametrize("kind", list(ELSEWHERE))
def test_kind_silences_a_family_only_if_it_can_be_judged_on_it(kind: str, event_type: str) -> None:
    family = event_type.partition(".")[0]
    expected = kind in EXEMPT.get(family, set())
    assert merge(EMPTY, {kind: ELSEWHERE[kind]}).passes(event_type, FLIGHT) is expected


def test_kinds_that_apply_still_stop_an_event_of_a_family_exempt_from_others() -> None:
    wanted = filters(callsign_prefix=["BAW"], airports=["KJFK"])
    assert wanted.passes("tmi.issued", {"airport": "KJFK"})
    assert not wanted.passes("tmi.issued", {"airport": "KLAX"})
    assert wanted.passes("splits.updated", {"artcc": "ZNY"})
    assert not filters(artccs=["ZBW"]).passes("splits.updated", {"artcc": "ZNY"})


def test_families_are_told_by_their_whole_name() -> None:
    assert not filters(callsign_prefix=["XXX"]).passes("tmix.issued", FLIGHT)
    assert not filters(airports=["XXXX"]).passes("cdm.updated", FLIGHT)


# Merging.


def test_kinds_of_several_subscribes_add_up() -> None:
    assert merge(filters(airports=["KJFK"]), {"artccs": ["ZNY"]}) == filters(airports=["KJFK"], artccs=["ZNY"])


def test_kind_given_again_replaces_the_former_values() -> None:
    assert merge(filters(airports=["KJFK"]), {"airports": ["KLAX"]}) == filters(airports=["KLAX"])


@pytest.mark.parametrize("cleared", [[], None])
@pytest.mark.parametrize("kind", list(ELSEWHERE))
def test_empty_list_or_null_clears_a_kind_and_no_other(kind: str, cleared: object) -> None:
    others = {name: value for name, value in ELSEWHERE.items() if name != kind}
    assert merge(merge(EMPTY, ELSEWHERE), {kind: cleared}) == merge(EMPTY, others)


def test_constrained_firs_replace_and_clear_firs_as_they_are_the_same() -> None:
    current = filters(firs=["EGTT"])
    assert merge(current, {"constrained_firs": ["CZQX"]}).firs == {"CZQX"}
    assert merge(current, {"constrained_firs": []}) == EMPTY


def test_window_ends_are_set_and_cleared_apart() -> None:
    both = filters(dep_window_start=T14, dep_window_end=T16)
    assert merge(filters(dep_window_start=T14), {"dep_window_end": T16}) == both
    assert merge(both, {"dep_window_start": None}) == filters(dep_window_end=T16)


def test_equal_wishes_are_equal_values_however_they_were_written() -> None:
    one = filters(airports=["KJFK", "EGLL"], bbox={"north": 45, "south": 0, "east": 1, "west": -0.0})
    other = filters(bbox={"north": 45.0, "south": 0.0, "west": 0, "east": 1}, airports=["egll", " kjfk", "KJFK"])
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one.to_wire()) == repr(other.to_wire())


def test_filters_can_not_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        EMPTY.airports = frozenset({"KJFK"})  # type: ignore[misc]  # that it is frozen is the test


def test_wire_form_holds_the_kinds_that_are_set_as_a_client_would_send_them() -> None:
    raw = {
        "phase": ["en_route"],
        "constrained_firs": ["CZQX", "EGGX"],
        "airports": ["KLAX", "kjfk"],
        "artccs": ["ZNY"],
        "callsign_prefix": ["BAW"],
        "dep_window_start": T14,
        "dep_window_end": "2026-01-16T16:30:00+01:00",
        "bbox": BOX,
    }
    assert merge(EMPTY, raw).to_wire() == {
        "airports": ["KJFK", "KLAX"],
        "artccs": ["ZNY"],
        "firs": ["CZQX", "EGGX"],
        "callsign_prefix": ["BAW"],
        "phase": ["EN_ROUTE"],
        "dep_window_start": "2026-01-16T14:00:00.000Z",
        "dep_window_end": "2026-01-16T15:30:00.000Z",
        "bbox": BOX,
    }
    assert EMPTY.to_wire() == {}


# Batches.


def batch(*positions: Any) -> dict[str, Any]:
    return {"count": len(positions), "positions": list(positions)}


def test_cut_keeps_the_positions_that_pass_with_their_count_and_the_rest_of_the_data() -> None:
    kennedy, heathrow = {"dep": "KJFK"}, {"arr": "EGLL"}
    data = {**batch(kennedy, {"dep": "KLAX"}, heathrow), "source": "vatsim"}
    before = copy.deepcopy(data)
    assert filters(airports=["KJFK", "EGLL"]).cut(data) == {
        "count": 2,
        "positions": [kennedy, heathrow],
        "source": "vatsim",
    }
    assert data == before


def test_cut_where_all_remain_is_the_same_object() -> None:
    data = batch({"dep": "KJFK"}, {"arr": "KJFK"})
    assert filters(airports=["KJFK"]).cut(data) is data
    assert EMPTY.cut(data) is data


def test_cut_where_nothing_remains_is_none() -> None:
    assert filters(airports=["KJFK"]).cut(batch({"dep": "KLAX"})) is None
    assert filters(airports=["KJFK"]).cut(batch()) is None


@pytest.mark.parametrize("positions", [None, "KJFK", 5, {"dep": "KJFK"}, [None, "KJFK", 5, ["dep"], [["dep", "KJFK"]]]])
def test_cut_of_what_holds_no_positions_is_none_and_never_raises(positions: object) -> None:
    for kind, value in ELSEWHERE.items():
        assert merge(EMPTY, {kind: value}).cut({"positions": positions}) is None
    assert filters(phase=["X"]).cut({}) is None


def test_cut_judges_each_position_by_every_kind() -> None:
    wanted = filters(airports=["KJFK"], bbox=BOX)
    inside, outside = {**FLIGHT, "latitude": 41}, {**FLIGHT, "latitude": 1}
    assert wanted.cut(batch(inside, outside, {**inside, "dep": "KLAX"})) == batch(inside)


# Properties.

codes = st.sampled_from(["KJFK", "EGLL", "KLAX", "ZNY", "EGTT", "BAW", "BA", "AAL1", "EN_ROUTE"])
any_case = codes | codes.map(str.lower) | codes.map(lambda code: f" {code} ")
degrees = st.sampled_from([-90, -45.5, -1, 0, 1, 45.5, 90])
times = st.sampled_from([T14, T15, T16])
boxes = st.fixed_dictionaries({"north": degrees, "south": degrees, "east": degrees, "west": degrees}).map(
    lambda box: {**box, "north": max(box["north"], box["south"]), "south": min(box["north"], box["south"])}
)
raw_filters = st.fixed_dictionaries(
    {},
    optional={
        **{
            kind: st.none() | st.lists(any_case, max_size=3)
            for kind in ("airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase")
        },
        "dep_window_start": st.none() | st.just(T14) | st.just(T15),
        "dep_window_end": st.none() | st.just(T15) | st.just(T16),
        "bbox": st.none() | boxes,
    },
)
absurd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
FIELDS = (
    *("dep", "departure_aerodrome", "arr", "arrival_aerodrome", "airport", "current_artcc", "artcc", "facility"),
    *("current_fir", "callsign", "phase"),
)
event_data = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, any_case | absurd),
        "traversed_firs": st.lists(any_case | absurd, max_size=2) | st.lists(any_case).map(",".join) | absurd,
        **dict.fromkeys(("estimated_off_block_time", "etd"), times | absurd),
        **dict.fromkeys(("lat", "latitude", "lon", "longitude"), degrees | absurd),
    },
)
batches = st.lists(event_data | absurd, max_size=6).map(lambda positions: batch(*positions))


@given(raw_filters, raw_filters)
def test_merging_the_same_again_changes_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    merged = merge(merge(EMPTY, one), other)
    assert merge(merged, other) == merged


@given(raw_filters, raw_filters)
def test_merging_two_messages_is_merging_their_kinds_with_the_later_winning(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    firs = {"firs", "constrained_firs"}
    earlier = {kind: value for kind, value in one.items() if not (kind in firs and firs & other.keys())}
    assert merge(merge(EMPTY, one), other) == merge(EMPTY, {**earlier, **other})


@given(raw_filters)
def test_wire_form_read_again_is_the_same_value(raw: dict[str, Any]) -> None:
    wanted = merge(EMPTY, raw)
    assert merge(EMPTY, wanted.to_wire()) == wanted


@given(raw_filters, event_data)
def test_case_and_blanks_never_matter(raw: dict[str, Any], data: dict[str, Any]) -> None:
    def lower(value: Any) -> Any:
        if isinstance(value, list):
            return [lower(item) for item in value]
        return f" {value.lower()} " if isinstance(value, str) else value

    written_otherwise = {kind: lower(value) for kind, value in raw.items()}
    wanted = merge(EMPTY, raw)
    assert merge(EMPTY, written_otherwise) == wanted
    data = {field: value for field, value in data.items() if not isinstance(value, str) or value.isascii()}
    assert wanted.passes("flight.departed", data) == wanted.passes(
        "flight.departed", {f: lower(v) for f, v in data.items()}
    )


@given(raw_filters, batches)
def test_cut_is_what_passes_position_by_position(raw: dict[str, Any], data: dict[str, Any]) -> None:
    wanted = merge(EMPTY, raw)
    kept = [
        position
        for position in data["positions"]
        if not wanted or (isinstance(position, dict) and wanted.passes("flight.position", position))
    ]
    cut = wanted.cut(data)
    if len(kept) == len(data["positions"]) and (kept or not wanted):
        assert cut is data
    elif kept:
        assert cut == batch(*kept)
    else:
        assert cut is None
    assert wanted.passes("flight.positions", data) == (cut is not None)


@given(raw_filters, absurd | event_data, st.sampled_from(sorted(Catalogue().types)))
def test_passes_never_raises_on_absurd_data(raw: dict[str, Any], data: Any, event_type: str) -> None:
    wanted = merge(EMPTY, raw)
    data = data if isinstance(data, dict) else dict.fromkeys(FIELDS, data)
    assert wanted.passes(event_type, data) in (True, False)


@given(raw_filters, raw_filters, event_data, st.sampled_from(sorted(Catalogue().types)))
def test_another_kind_only_ever_narrows(
    one: dict[str, Any], other: dict[str, Any], data: dict[str, Any], event_type: str
) -> None:
    wider = merge(EMPTY, one)
    added = {kind: value for kind, value in other.items() if kind not in one and not kind.endswith("firs")}
    if merge(wider, added).passes(event_type, data):
        assert wider.passes(event_type, data)
