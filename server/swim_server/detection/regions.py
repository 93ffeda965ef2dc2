"""Regions of airspace: which centre and FIR a place is in. The boundaries are supplied from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec


class Region(msgspec.Struct, frozen=True):
    """The airspace around a place; None if unknown."""

    artcc: str | None = None
    """Centre code as in filters: ``ZNY``."""
    fir: str | None = None
    """FIR code: ``CZQX``."""
    sector: str | None = None
    """The smallest part of the FIR with a boundary of its own: ``EGTL``."""


UNKNOWN = Region()


Place = tuple[float, float]
"""Latitude, longitude."""


class Regions(Protocol):
    """Finds the region of a place. Called for each announced position, so it must be fast; must not raise."""

    def around(self, places: Iterable[Place]) -> Regions:
        """Look up these places together; the result also knows all others."""

    def locate(self, latitude: float, longitude: float) -> Region:
        """Return the region of a place; ``UNKNOWN`` if no boundary contains it."""


class NoRegions:
    """Knows no boundaries: every region is unknown."""

    def around(self, places: Iterable[Place]) -> Regions:
        """Return itself."""
        return self

    def locate(self, latitude: float, longitude: float) -> Region:
        """Return ``UNKNOWN``."""
        return UNKNOWN
