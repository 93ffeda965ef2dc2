"""Random filters, subscriptions and events from few values, so that they often match; some are invalid."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
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
            "system.notice", "cdm.*", "tmi.program.*", "tmi.program.x", "ctp.*", "ctp_slot_missed",
            "metering.*")  # fmt: skip
TYPES = ("flight.created", "flight.updated", "flight.positions", "tmi.issued", "splits.updated", "aman.updated",
         "system.notice", "cdm.edct", "tmi.program.x", "tmi.program.y", "ctp_slot_missed", "ctp.session.open",
         "metering.a.b")  # fmt: skip
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

_ABSURD: Sequence[Any] = (None, 7, True, float("nan"), float("inf"), "", [], {}, ["ZNY"], 2**63 - 1)
_USUAL: Mapping[str, Sequence[Any]] = {
    "callsign": (*CALLSIGNS, " dal1 "),
    "dep": (*AIRPORTS, "kjfk"),
    "arr": AIRPORTS,
    "airport": (*AIRPORTS, "EG**"),
    "departure_aerodrome": AIRPORTS,
    "arrived_at": (*AIRPORTS, " klax"),
    "current_artcc": ARTCCS,
    "facility": ARTCCS,
    "current_fir": ARTCCS,
    "traversed_firs": ("ZNY, EGTT", "ZLA", ["EGTT", 5, "zny"], ["ZLA"]),
    "airports": (["KJFK", "EG**"], ["K*"], "klax, RJTT", ["****"], ["EG", 5]),
    "firs": (["EGTT", "Z**"], ["E*"], ["ZLA"]),
    "phase": (*PHASES, "taxi"),
    "etd": (*TIME_TEXTS, 1_768_577_400),
    "latitude": (*LATITUDES, 40, 91.0),
    "longitude": (*LONGITUDES, -74, 181.0),
    "lat": LATITUDES,
    "lon": LONGITUDES,
}
_absurd = st.sampled_from(_ABSURD)
_FIELDS = {field: st.one_of(st.sampled_from(usual), _absurd) for field, usual in _USUAL.items()}
rows = st.fixed_dictionaries({}, optional=_FIELDS)
batches = st.one_of(
    st.lists(st.one_of(rows, rows, rows, _absurd), max_size=6).map(
        lambda positions: {"count": len(positions), "positions": positions}
    ),
    st.fixed_dictionaries({"positions": _absurd}),
    st.just({}),
)


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw an event type and its data."""
    event_type = draw(st.sampled_from(TYPES))
    return event_type, draw(batches if event_type == "flight.positions" else rows)


class Dice:
    """The same from a seeded generator: thousands of examples per second, where hypothesis makes tens."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def subscription(self) -> Subscription:
        channels = frozenset(self._random.sample(CHANNELS, self._random.randint(1, 3)))
        return Subscription(channels, self.filters())

    def filters(self) -> Filters:
        south, north = sorted(self._random.choices(LATITUDES, k=2))
        west, east = self._random.choices(LONGITUDES, k=2)
        return Filters(
            airports=self._some(AIRPORTS),
            artccs=self._some(ARTCCS),
            firs=self._some(ARTCCS),
            callsign_prefixes=self._some(PREFIXES),
            phases=self._some(PHASES),
            dep_window=self._random.choice([(None, None), (None, None), TIMES[:2], (TIMES[1], None), (None, TIMES[0])]),
            bbox=Box(north, south, east, west) if self._random.random() < 0.3 else None,
        )

    def _some(self, values: Sequence[str]) -> frozenset[str]:
        if self._random.random() < 0.7:
            return frozenset()
        return frozenset(self._random.sample(values, self._random.randint(1, min(3, len(values)))))

    def event(self) -> tuple[str, dict[str, Any]]:
        event_type = self._random.choice(TYPES)
        if event_type != "flight.positions":
            return event_type, self._row()
        rows = [self._row() if self._random.random() < 0.9 else None for _ in range(self._random.randint(0, 8))]
        return event_type, {"count": len(rows), "positions": rows}

    def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for field, usual in _USUAL.items():
            chance = self._random.random()
            if chance < 0.5:
                row[field] = self._random.choice(usual)
            elif chance < 0.55:
                row[field] = self._random.choice(_ABSURD)
        return row
