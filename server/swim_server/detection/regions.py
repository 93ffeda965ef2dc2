"""Regions of airspace: which centre and which FIR a place lies in. Who knows the boundaries is given from outside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec


class Region(msgspec.Struct, frozen=True):
    """The airspace around a place; None where it isn't known."""

    artcc: str | None = None
    """Centre code as filters have it: ``ZNY``."""
    fir: str | None = None
    """FIR code: ``CZQX``."""
    sector: str | None = None
    """The part of the FIR that has a boundary of its own, the smallest one: ``EGTL``."""


UNKNOWN = Region()


Place = tuple[float, float]
"""Latitude, longitude."""


class Regions(Protocol):
    """Finds the region of a place. Called for each position announced, so it has to be quick; must not raise."""

    def around(self, places: Iterable[Place]) -> Regions:
        """Look up at once the places that will be asked for soon; the answer knows all others, too."""

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell the region of a place; ``UNKNOWN`` where no boundary holds it."""


class NoRegions:
    """Knows no boundaries: every place is of an unknown region."""

    def around(self, places: Iterable[Place]) -> Regions:
        """Tell nothing about all of them."""
        return self

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell that nothing is known."""
        return UNKNOWN
