"""Hints: texts about filter values that can match nothing known. Nothing is refused because of one."""

from __future__ import annotations

import string
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.protocol.filters import Filters
    from swim_server.streaming.recent import Recent

MAX_HINTS = 10
"""Maximum number of hints in one answer."""
LONGEST_SLIP = 5
"""Maximum length of a code that is corrected: an airport's code has four letters."""
LETTERS = string.ascii_uppercase + string.digits
REGION_LETTERS = 2
"""The first letters of a code, which name its region and are seldom wrong."""
LOOK_AGAIN_SECONDS = 15.0
"""How long the current flights are cached."""
LOOKED_AT_EVENTS = 64
"""Maximum number of events scanned, the newest batches of positions: enough for all pilots of the network."""
LOOKED_AT_BYTES = 2 * 1024 * 1024
US_CENTRES = frozenset(
    {"ZAB", "ZAN", "ZAU", "ZBW", "ZDC", "ZDV", "ZFW", "ZHN", "ZHU", "ZID", "ZJX", "ZKC", "ZLA", "ZLC", "ZMA", "ZME"}
    | {"ZMP", "ZNY", "ZOA", "ZOB", "ZSE", "ZSU", "ZTL", "ZUA"}
)


class AirportCodes(msgspec.Struct, frozen=True):
    """All known airports and FIRs."""

    icao: frozenset[str]
    others: Mapping[str, str]
    """ICAO codes, by IATA and FAA codes."""
    firs: frozenset[str] = frozenset()
    """Empty: not known."""


class _Row(msgspec.Struct):
    callsign: Any = None
    dep: Any = None
    arr: Any = None
    current_artcc: Any = None
    current_fir: Any = None


class _Data(_Row):
    positions: list[_Row] = []


class _Message(msgspec.Struct):
    data: _Data


class _Traffic(msgspec.Struct, frozen=True):
    """What the newest events show."""

    callsigns: Sequence[str] = ()
    """Sorted."""
    airports: frozenset[str] = frozenset()
    centres: frozenset[str] = frozenset()
    firs: frozenset[str] = frozenset()


class Hints:
    """Knows the world's airports, once ``airports`` is set, and the current traffic from the newest events."""

    def __init__(self, recent: Callable[[], Recent], *, clock: Clock) -> None:
        """Read the newest events from what ``recent`` returns at the time."""
        self._recent = recent
        self._monotonic = clock.monotonic
        self.airports: AirportCodes | None = None
        self._traffic = _Traffic()
        self._looked_at = float("-inf")
        self._decoder = msgspec.json.Decoder(_Message)

    def about(self, filters: Filters) -> list[str]:
        """Return a hint for each value that can match nothing known; none where nothing is known."""
        if not (filters.airports or filters.artccs or filters.firs or filters.callsign_prefixes):
            return []
        traffic = self._look()
        found = chain(
            self._about_airports(filters.airports, traffic),
            self._about_centres(filters.artccs, traffic),
            self._about_firs(filters.firs, traffic),
            _about_callsigns(filters.callsign_prefixes, traffic),
        )
        return list(islice(found, MAX_HINTS))

    def _about_airports(self, codes: Iterable[str], traffic: _Traffic) -> Iterable[str]:
        if self.airports is None:
            return
        for code in sorted(codes):
            if code in self.airports.icao or code in traffic.airports:
                continue
            meant = self.airports.others.get(code) or _nearest(code, self.airports.icao)
            yield f"no airport {code}; {meant}?" if meant else f"no airport {code} is known"

    def _about_centres(self, codes: Iterable[str], traffic: _Traffic) -> Iterable[str]:
        for code in sorted(codes):
            if code in traffic.centres or code in US_CENTRES:
                continue
            if code[1:] in US_CENTRES:
                yield f"no centre {code}; {code[1:]}?"
            elif self.airports is not None and code in self.airports.icao and code[-2:] != "CC":
                yield f"no centre {code}: it is an airport"

    def _about_firs(self, codes: Iterable[str], traffic: _Traffic) -> Iterable[str]:
        """Return hints for unknown FIRs; centres are valid values, too."""
        if self.airports is None or not self.airports.firs:
            return
        for code in sorted(codes):
            if any(code in known for known in (self.airports.firs, US_CENTRES, traffic.firs, traffic.centres)):
                continue
            if code in self.airports.icao:
                yield f"no FIR {code}: it is an airport"
            else:
                meant = _nearest(code, self.airports.firs)
                yield f"no FIR {code}; {meant}?" if meant else f"no FIR {code} is known"

    def _look(self) -> _Traffic:
        """Return the current traffic according to the newest events; refreshed at most every few seconds."""
        now = self._monotonic()
        if now - self._looked_at < LOOK_AGAIN_SECONDS:
            return self._traffic
        self._looked_at = now
        rows: list[_Row] = []
        for wire in self._recent().newest("flight.", LOOKED_AT_EVENTS, LOOKED_AT_BYTES):
            try:
                data = self._decoder.decode(wire).data
            except msgspec.DecodeError:
                continue  # a provider's own format: it says nothing
            rows += [data, *data.positions]
        self._traffic = _Traffic(
            callsigns=sorted(_texts(row.callsign for row in rows)),
            airports=_texts(code for row in rows for code in (row.dep, row.arr)),
            centres=_texts(row.current_artcc for row in rows),
            firs=_texts(row.current_fir for row in rows),
        )
        return self._traffic


def _about_callsigns(prefixes: Iterable[str], traffic: _Traffic) -> Iterable[str]:
    if not traffic.callsigns:
        return
    for prefix in sorted(prefixes):
        first = bisect_left(traffic.callsigns, prefix)
        if not any(callsign.startswith(prefix) for callsign in traffic.callsigns[first : first + 1]):
            yield f"no current flight has a callsign that begins with {prefix}"


def _nearest(code: str, known: frozenset[str]) -> str | None:
    """Return the airport or FIR that a wrong code was most likely meant to be.

    Tries every single typing error in the code, instead of comparing it with every known one: a client may list a
    thousand.
    """
    for meant in (code[:4], f"K{code}"):
        if meant in known:
            return meant
    slips = _one_slip_away(code) if len(code) <= LONGEST_SLIP else ()
    return next((each for each in slips if each in known), None)


def _one_slip_away(code: str) -> Iterator[str]:
    """Yield codes with one letter less, one more, two swapped, or one replaced; the first two are kept until last."""
    places = range(REGION_LETTERS, len(code))
    for at in places:
        yield code[:at] + code[at + 1 :]
    for at in (*places, len(code)):
        yield from (code[:at] + letter + code[at:] for letter in LETTERS)
    for at in places[1:]:
        yield code[: at - 1] + code[at] + code[at - 1] + code[at + 1 :]
    for at in places:
        yield from (code[:at] + letter + code[at + 1 :] for letter in LETTERS)


def _texts(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(value.strip().upper() for value in values if isinstance(value, str) and value.strip())
