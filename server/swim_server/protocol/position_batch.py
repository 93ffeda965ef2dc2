"""Cuts one batch of positions for many filters; what they all look at is collected once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from itertools import compress
from math import inf
from typing import Any

import msgspec

from swim_server.protocol.events import Event
from swim_server.protocol.filters import Filters
from swim_server.protocol.predicates import (
    ARTCC_FIELDS,
    Box,
    airports_of,
    canonical,
    codes_of,
    firs_of,
    fits,
    off_block_ms_of,
    patterns_in,
    phase_of,
    place_of,
)

_encoder = msgspec.json.Encoder()
_EARTH = Box(north=90, south=-90, east=180, west=-180)
_TRUTH = bytes.maketrans(b"01", b"\0\1")


class PositionBatch:
    """One ``flight.positions`` event, ready to be cut for any number of filters.

    A selection of its positions is an integer: bit *n* stands for position *n*. Equal selections are cut once and share
    one event, and each position is encoded once. Gives the same results as ``Filters.cut``. Never raises.
    """

    def __init__(self, event: Event) -> None:
        self._event = event
        positions = event.data.get("positions")
        self._positions: list[Any] = positions if isinstance(positions, list) else []
        self._readable = sum(bit for bit, _ in self._each())
        self._cuts: dict[int, Event] = {}
        self._boxes: dict[Box, int] = {}
        self._windows: dict[tuple[int | None, int | None], int] = {}

    def cut(self, filters: Filters) -> Event | None:
        """Return the part of the event that passes the filters: the event itself, a smaller one, or None."""
        if not filters:
            return self._event
        selection = self.select(filters)
        if not selection:
            return None
        if selection.bit_count() == len(self._positions):
            return self._event
        cut = self._cuts.get(selection)
        if cut is None:
            cut = self._cuts[selection] = self._cut(selection)
        return cut

    def select(self, filters: Filters) -> int:
        """Return the positions that pass all kinds of the filters."""
        selection = self._readable
        if filters.airports:
            selection &= self._union(self._by_airport, self._airport_patterns, filters.airports)
        if filters.artccs and selection:
            selection &= _union(self._by_artcc, filters.artccs)
        if filters.firs and selection:
            selection &= self._union(self._by_fir, self._fir_patterns, filters.firs)
        if filters.callsign_prefixes and selection:
            selection &= self._with_callsign(filters.callsign_prefixes)
        if filters.phases and selection:
            selection &= _union(self._by_phase, filters.phases) | self._by_phase.get("", 0)
        if filters.bbox is not None and selection:
            selection &= self._within(filters.bbox)
        if filters.dep_window != (None, None) and selection:
            selection &= self._leaving(filters.dep_window)
        return selection

    # What an index needs: which values occur in the batch.

    @property
    def airports(self) -> Collection[str]:
        """Return every airport code that a position names."""
        return self._by_airport

    @property
    def artccs(self) -> Collection[str]:
        """Return every centre code that a position names."""
        return self._by_artcc

    @property
    def firs(self) -> Collection[str]:
        """Return every FIR that a position is in or crosses."""
        return self._by_fir

    def patterns(self, codes: Collection[str]) -> Collection[str]:
        """Return those of the airports or FIRs just returned that are patterns; computed once each."""
        return self._airport_patterns if codes is self._by_airport else self._fir_patterns

    @property
    def phases(self) -> Collection[str]:
        """Return every phase; "" for a position without one."""
        return self._by_phase

    @property
    def callsigns(self) -> Iterable[str]:
        """Return every callsign, in canonical form."""
        return (callsign for callsign, _ in self._by_callsign if callsign)

    @property
    def places(self) -> Iterable[tuple[float, float]]:
        """Return latitude and longitude of every position that is on earth."""
        return ((latitude, longitude) for latitude, longitude, _ in self._places)

    def _cut(self, selection: int) -> Event:
        chosen = f"{selection:b}"[::-1].encode().translate(_TRUTH)
        kept = list(compress(self._positions, chosen))
        encoded = msgspec.Raw(b"[%b]" % b",".join(compress(self._encoded, chosen)))
        data = {**self._event.data, "count": len(kept)}
        wire = self._event.with_data({**data, "positions": encoded}).wire
        return Event(self._event.id, self._event.type, wire, {**data, "positions": kept})

    @cached_property
    def _encoded(self) -> list[bytes]:
        return [_encoder.encode(position) for position in self._positions]

    @cached_property
    def _by_airport(self) -> dict[str, int]:
        return self._by_code(airports_of)

    @cached_property
    def _by_artcc(self) -> dict[str, int]:
        return self._by_code(lambda position: codes_of(position, ARTCC_FIELDS))

    @cached_property
    def _by_fir(self) -> dict[str, int]:
        return self._by_code(firs_of)

    @cached_property
    def _airport_patterns(self) -> list[str]:
        return patterns_in(self._by_airport)

    @cached_property
    def _fir_patterns(self) -> list[str]:
        return patterns_in(self._by_fir)

    @cached_property
    def _by_phase(self) -> dict[str, int]:
        """Return the positions by phase; those without one under ""."""
        return self._by_code(lambda position: [phase_of(position) or ""])

    @cached_property
    def _by_callsign(self) -> list[tuple[str, int]]:
        """Return the callsigns in order, so that those with the same prefix are adjacent."""
        return sorted(self._by_code(lambda position: [canonical(position.get("callsign")) or ""]).items())

    @cached_property
    def _places(self) -> list[tuple[float, float, int]]:
        """Return latitude, longitude and bit of each position that is on earth, from south to north."""
        found = ((place_of(position), bit) for bit, position in self._each())
        return sorted((*place, bit) for place, bit in found if place is not None and _EARTH.contains(*place))

    @cached_property
    def _off_blocks(self) -> list[tuple[int, int | None]]:
        return [(bit, off_block_ms_of(position)) for bit, position in self._each()]

    def _each(self) -> Iterable[tuple[int, Mapping[str, object]]]:
        """Yield bit and position of each item that is an object."""
        for number, position in enumerate(self._positions):
            if isinstance(position, dict):
                yield 1 << number, position

    def _by_code(self, codes: Callable[[Mapping[str, object]], list[str]]) -> dict[str, int]:
        found: dict[str, int] = {}
        for bit, position in self._each():
            for code in codes(position):
                found[code] = found.get(code, 0) | bit
        return found

    def _union(self, by_code: Mapping[str, int], patterns: list[str], wanted: frozenset[str]) -> int:
        """Return the positions with any of the codes, or with a pattern that matches one of them."""
        selection = _union(by_code, wanted)
        for pattern in patterns:
            if fits(pattern, wanted):
                selection |= by_code[pattern]
        return selection

    def _with_callsign(self, prefixes: frozenset[str]) -> int:
        selection = 0
        for prefix in prefixes:
            for callsign, bits in self._by_callsign[bisect_left(self._by_callsign, (prefix, 0)) :]:
                if not callsign.startswith(prefix):
                    break
                selection |= bits
        return selection

    def _within(self, box: Box) -> int:
        selection = self._boxes.get(box)
        if selection is None:
            south, north = bisect_left(self._places, (box.south,)), bisect_left(self._places, (box.north, inf))
            inside = self._places[south:north]
            if box.west <= box.east:
                selection = sum([bit for _, longitude, bit in inside if box.west <= longitude <= box.east])
            else:
                selection = sum([bit for _, longitude, bit in inside if longitude >= box.west or longitude <= box.east])
            self._boxes[box] = selection
        return selection

    def _leaving(self, window: tuple[int | None, int | None]) -> int:
        """Return the positions whose flights intend to depart within the window, or give no time."""
        selection = self._windows.get(window)
        if selection is None:
            start, end = window
            selection = sum(
                bit
                for bit, moment in self._off_blocks
                if moment is None or ((start is None or start <= moment) and (end is None or moment <= end))
            )
            self._windows[window] = selection
        return selection


def _union(by_code: Mapping[str, int], wanted: frozenset[str]) -> int:
    """Return the positions with any of the codes; iterates over the shorter of the two collections."""
    selection = 0
    if len(wanted) <= len(by_code):
        for code in wanted:
            selection |= by_code.get(code, 0)
    else:
        for code, bits in by_code.items():
            if code in wanted:
                selection |= bits
    return selection
