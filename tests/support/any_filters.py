"""Random filters, subscriptions and events from few values, so that they often meet; and now and then absurd ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
from swim_server.protocol.filters import Box, Filters
from swim_server.streaming.subscription import Subscription

AIRPORTS = ("KJFK", "KLAX", "EGLL", "RJTT")
ARTCCS = ("ZNY", "ZLA", "EGTT")
CALLSIGNS = ("DAL1", "DAL12", "DL1", "BAW9", "B")
PREFIXES = ("D", "DAL", "DAL1", "DAL12", "BAW", "X")
PHASES = ("ENROUTE", "TAXI")
CHANNELS = ("*", "flight.*", "flight.created", "flight.positions", "tmi.*", "tmi.issued", "splits.*", "aman.updated",
            "system.notice", "cdm.*")  # fmt: skip
TYPES = ("flight.created", "flight.updated", "flight.positions", "tmi.issued", "splits.updated", "aman.updated",
         "system.notice", "cdm.edct")  # fmt: skip
TIMES = (1_768_573_800_000, 1_768_577_400_000, 1_768_581_000_000)
TIME_TEXTS = ("2026-01-16T14:30:00Z", "2026-01-16T15:00:00Z", "2026-01-16T16:30:00Z")
LATITUDES = (-90.0, -33.5, 0.0, 40.6, 41.0, 59.9, 90.0)
LONGITUDES = (-180.0, -179.5, -73.8, -73.0, 0.0, 60.0, 179.5, 180.0)


def _some(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(values), min_size=1, max_size=3))


@st.composite
def _boxes(draw: st.DrawFn) -> Box:
    south, north = sorted((draw(st.sampled_from(LATITUDES)), draw(st.sampled_from(LATITUDES))))
    return Box(north, south, draw(st.sampled_from(LONGITUDES)), draw(st.sampled_from(LONGITUDES)))


filters = st.builds(
    Filters,
    airports=_some(AIRPORTS),
    artccs=_some(ARTCCS),
    firs=_some(ARTCCS),
    callsign_prefixes=_some(PREFIXES),
    phases=_some(PHASES),
    dep_window=st.sampled_from([(None, None), (None, None), TIMES[:2], (TIMES[1], None), (None, TIMES[0])]),
    bbox=st.one_of(st.none(), _boxes()),
)
subscriptions = st.builds(
    Subscription, channels=st.frozensets(st.sampled_from(CHANNELS), min_size=1, max_size=3), filters=filters
)

_absurd = st.sampled_from([None, 7, True, float("nan"), float("inf"), "", [], {}, ["ZNY"], 10**400, "\ud800"])


def _value(*usual: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.sampled_from(usual), _absurd)


_FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "callsign": _value(*CALLSIGNS, " dal1 "),
    "dep": _value(*AIRPORTS, "kjfk"),
    "arr": _value(*AIRPORTS),
    "airport": _value(*AIRPORTS),
    "departure_aerodrome": _value(*AIRPORTS),
    "current_artcc": _value(*ARTCCS),
    "facility": _value(*ARTCCS),
    "current_fir": _value(*ARTCCS),
    "traversed_firs": _value("ZNY, EGTT", "ZLA", ["EGTT", 5, "zny"], ["ZLA"]),
    "phase": _value(*PHASES, "taxi"),
    "etd": _value(*TIME_TEXTS, 1_768_577_400),
    "latitude": _value(*LATITUDES, 40, 91.0),
    "longitude": _value(*LONGITUDES, -74, 181.0),
    "lat": _value(*LATITUDES),
    "lon": _value(*LONGITUDES),
}
rows = st.fixed_dictionaries({}, optional=dict(_FIELDS))
batches = st.one_of(
    st.lists(st.one_of(rows, rows, rows, _absurd), max_size=6).map(
        lambda positions: {"count": len(positions), "positions": positions}
    ),
    st.fixed_dictionaries({"positions": _absurd}),
    st.just({}),
)


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A type and its data."""
    event_type = draw(st.sampled_from(TYPES))
    return event_type, draw(batches if event_type == "flight.positions" else rows)
