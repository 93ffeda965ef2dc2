"""The airfields of the real world, loaded once for all tests that need them."""

from __future__ import annotations

from functools import cache

from swim_server.detection.airfields import Airfields
from swim_server.sources.airports import load_airfields


@cache
def world() -> Airfields:
    """Return all airfields."""
    return load_airfields()
