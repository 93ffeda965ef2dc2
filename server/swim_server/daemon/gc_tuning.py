"""Keeps Python's garbage collector from blocking the loop.

A full collection looks at every object: with ten thousand clients it would block the loop for some hundred
milliseconds, repeatedly while they connect. Almost all objects live long and are freed by their reference counts; so
whatever survives the youngest generation is set aside (``gc.freeze``), and examined only once a day; or once an hour
while there is so little that it takes no longer than a tenth of a second.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""New objects per collection, which then takes one or two milliseconds."""
FULL_COLLECTION_SECONDS = 24 * 3600
SHORT_COLLECTION_SECONDS = 3600
SHORT_COLLECTION_OBJECTS = 250_000
"""At most this many are examined once an hour; a daemon without clients has about 100,000."""


class GcTuning:
    """``tick`` is called several times a second, on the loop's thread."""

    def __init__(self, now: float) -> None:
        self._last_full = now
        self._last_look = now

    def begin(self) -> None:
        """Set aside what the start has created, and collect only young objects from now on."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 5, 1_000_000)

    def tick(self, now: float) -> None:
        """Set aside what is no longer young; once a day, or an hour, collect everything."""
        if self._is_due(now):
            self._last_full = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif gc.get_count()[1]:  # the youngest generation has been collected since
            gc.collect(1)
            gc.freeze()

    def _is_due(self, now: float) -> bool:
        if now - self._last_full >= FULL_COLLECTION_SECONDS:
            return True
        if now - self._last_look < SHORT_COLLECTION_SECONDS:
            return False
        self._last_look = now
        return gc.get_freeze_count() <= SHORT_COLLECTION_OBJECTS  # counted one by one
