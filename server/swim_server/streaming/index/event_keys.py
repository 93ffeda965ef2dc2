"""The values by which an event can be found: those that filters compare, in the form in which they compare them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from swim_server.protocol.predicates import (
    ARTCC_FIELDS,
    airports_of,
    canonical,
    codes_of,
    firs_of,
    patterns_in,
    phase_of,
    place_of,
)

if TYPE_CHECKING:
    from swim_server.protocol.events import Event


class Searchable(Protocol):
    """What the index needs from an event: a single one (``EventKeys``), or a batch (``PositionBatch``)."""

    @property
    def airports(self) -> Collection[str]: ...

    @property
    def artccs(self) -> Collection[str]: ...

    @property
    def firs(self) -> Collection[str]: ...

    def patterns(self, codes: Collection[str]) -> Collection[str]:
        """Return those of the airports or FIRs just returned that are patterns: ``EG**``."""

    @property
    def phases(self) -> Collection[str]:
        """Return its phases; "" if it has none."""

    @property
    def callsigns(self) -> Iterable[str]: ...

    @property
    def places(self) -> Iterable[tuple[float, float]]:
        """Return latitudes and longitudes, which may be invalid."""


class EventKeys:
    """The values of one event that is not a batch; each is looked up when it is needed."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    @property
    def airports(self) -> list[str]:
        return airports_of(self._event.data)

    @property
    def artccs(self) -> list[str]:
        return codes_of(self._event.data, ARTCC_FIELDS)

    @property
    def firs(self) -> list[str]:
        return firs_of(self._event.data)

    def patterns(self, codes: Collection[str]) -> list[str]:
        return patterns_in(codes)

    @property
    def phases(self) -> list[str]:
        return [phase_of(self._event.data) or ""]

    @property
    def callsigns(self) -> list[str]:
        callsign = canonical(self._event.data.get("callsign"))
        return [callsign] if callsign else []

    @property
    def places(self) -> list[tuple[float, float]]:
        place = place_of(self._event.data)
        return [place] if place is not None else []
