"""Keeps Python's garbage collector from blocking the loop.

A full collection looks at every object: with ten thousand clients it would block the loop for some hundred
milliseconds, repeatedly while they connect. Almost all objects live long and are freed by their reference counts; so
whatever survives the youngest generation is set aside (``gc.freeze``), and examined only once a day.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""New objects per collection, which then takes one or two milliseconds."""
FULL_COLLECTION_SECONDS = 24 * 3600


class GcTuning:
    """``tick`` is called several times a second, on the loop's thread."""

    def __init__(self, now: float) -> None:
        self._last_full = now

    def begin(self) -> None:
        """Set aside what the start has created, and collect only young objects from now on."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 5, 1_000_000)

    def tick(self, now: float) -> None:
        """Set aside what is no longer young; once a day collect everything."""
        if now - self._last_full >= FULL_COLLECTION_SECONDS:
            self._last_full = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif gc.get_count()[1]:  # the youngest generation has been collected since
            gc.collect(1)
            gc.freeze()
