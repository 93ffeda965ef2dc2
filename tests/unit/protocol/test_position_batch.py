"""A batch cut for many filters: the same answers as each filter alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, encode
from swim_server.protocol.filters import EMPTY, merge
from swim_server.protocol.position_batch import PositionBatch

KENNEDY = {"callsign": "BAW1", "dep": "KJFK", "latitude": 40.6, "longitude": -73.8}
GATWICK = {"callsign": "EZY2", "dep": "EGKK", "latitude": 51.1, "longitude": -0.2}
SUVA = {"callsign": "FJI3", "dep": "NFNA", "latitude": -18.0, "longitude": 178.5}


def event_of(*positions: Any) -> Event:
    data = {"count": len(positions), "positions": list(positions), "source": "vatsim"}
    return encode("flight.positions", "2026-01-16T14:30:15.123Z", EventId(5, 6), data)


def test_cut_event_keeps_type_time_and_id_and_counts_what_remains() -> None:
    cut = PositionBatch(event_of(KENNEDY, GATWICK, SUVA)).cut(merge(EMPTY, {"airports": ["KJFK", "NFNA"]}))
    assert cut is not None
    assert json.loads(cut.wire) == {
        "type": "flight.positions",
        "timestamp": "2026-01-16T14:30:15.123Z",
        "id": "5-6",
        "data": {"count": 2, "positions": [KENNEDY, SUVA], "source": "vatsim"},
    }


def test_cut_where_all_remain_is_the_event_itself() -> None:
    event = event_of(KENNEDY, GATWICK)
    batch = PositionBatch(event)
    assert batch.cut(EMPTY) is event
    assert batch.cut(merge(EMPTY, {"airports": ["KJFK", "EGKK"]})) is event


def test_filters_that_keep_the_same_positions_share_one_event() -> None:
    batch = PositionBatch(event_of(KENNEDY, GATWICK))
    assert batch.cut(merge(EMPTY, {"airports": ["KJFK"]})) is batch.cut(merge(EMPTY, {"callsign_prefix": ["BAW"]}))


def test_nothing_remains_of_what_holds_no_positions() -> None:
    wanted = merge(EMPTY, {"airports": ["KJFK"]})
    for data in ({}, {"positions": None}, {"positions": "KJFK"}, {"positions": [None, 5, "KJFK", ["dep"]]}):
        event = encode("flight.positions", "2026-01-16T14:30:15.123Z", EventId(5, 6), data)
        assert PositionBatch(event).cut(wanted) is None
        assert PositionBatch(event).cut(EMPTY) is event


def test_box_across_the_antimeridian_selects_both_sides() -> None:
    tonga = {**SUVA, "longitude": -175.2}
    batch = PositionBatch(event_of(KENNEDY, SUVA, tonga, {**SUVA, "longitude": 500}))
    cut = batch.cut(merge(EMPTY, {"bbox": {"north": 0, "south": -30, "east": -170, "west": 170}}))
    assert cut is not None
    assert cut.data["positions"] == [SUVA, tonga]


codes = st.sampled_from(["KJFK", "EGLL", "ZNY", "EGTT", "BAW", "BA", "AAL1", "EN_ROUTE", " kjfk", "zny", "aal1"])
degrees = st.sampled_from([-90, -45.5, -1, 0, 1, 45.5, 90])
times = st.sampled_from(["2026-01-16T14:00:00Z", "2026-01-16T15:00:00Z", "2026-01-16T16:00:00Z"])
odd = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
odd = odd | st.sampled_from(["", "x", [], {}, [1]])
positions = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("callsign", "phase", "dep", "arrival_aerodrome", "artcc", "current_artcc"), codes | odd),
        "traversed_firs": st.lists(codes | odd, max_size=2) | st.lists(codes).map(",".join) | odd,
        "current_fir": codes,
        **dict.fromkeys(("estimated_off_block_time", "etd"), times | odd),
        **dict.fromkeys(("lat", "latitude", "lon", "longitude"), degrees | odd),
    },
)
raw_filters = st.fixed_dictionaries(
    {},
    optional={
        **{
            kind: st.lists(codes, max_size=12)
            for kind in ("airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase")
        },
        "dep_window_start": st.just("2026-01-16T14:30:00Z"),
        "dep_window_end": st.just("2026-01-16T15:00:00Z"),
        "bbox": st.builds(
            lambda one, other, east, west: {
                "north": max(one, other),
                "south": min(one, other),
                "east": east,
                "west": west,
            },
            *[degrees] * 4,
        ),
    },
)


@given(st.lists(positions | odd, max_size=12), st.lists(raw_filters, max_size=6))
def test_every_filter_gets_of_a_batch_what_it_would_cut_alone(batch: list[Any], raws: list[dict[str, Any]]) -> None:
    event = event_of(*batch)
    shared = PositionBatch(event)
    for raw in raws:
        wanted = merge(EMPTY, raw)
        alone = wanted.cut(event.data)
        together = shared.cut(wanted)
        if alone is None:
            assert together is None
        elif alone is event.data:
            assert together is event
        else:
            assert together is not None
            assert together.data == alone
            assert together.wire == event.with_data(dict(alone)).wire
