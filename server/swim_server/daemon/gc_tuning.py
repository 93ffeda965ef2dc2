"""Python's garbage collector, kept from holding the loop.

A full collection looks at every object there is: with ten thousand clients it would hold the loop for some hundred
milliseconds, again and again while they connect. Almost all objects live long and are freed by their reference
counts; so what has survived the youngest generation is set aside (``gc.freeze``), never to be looked at again but
once a day.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""New objects examined by one collection, which takes one or two milliseconds."""
FULL_COLLECTION_SECONDS = 24 * 3600


class GcTuning:
    """``tick`` is called several times a second, on the loop's thread."""

    def __init__(self, now: float) -> None:
        self._last_full = now

    def begin(self) -> None:
        """Set aside what the start has made, and collect only young objects from now on."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 5, 1_000_000)

    def tick(self, now: float) -> None:
        """Set aside what is no longer young; once a day look through everything."""
        if now - self._last_full >= FULL_COLLECTION_SECONDS:
            self._last_full = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif gc.get_count()[1]:  # the youngest generation has been collected since
            gc.collect(1)
            gc.freeze()
