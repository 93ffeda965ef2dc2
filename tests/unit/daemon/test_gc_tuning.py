"""The garbage collector looks at young objects only, and at everything once a day; at little once an hour."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from swim_server.daemon import gc_tuning
from swim_server.daemon.gc_tuning import (
    FULL_COLLECTION_SECONDS,
    SHORT_COLLECTION_SECONDS,
    YOUNG_OBJECTS,
    GcTuning,
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Ring:
    """Holds itself, so that only the collector frees it."""

    freed = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Ring.freed += 1


def test_what_was_there_at_the_start_is_set_aside() -> None:
    GcTuning(0).begin()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == YOUNG_OBJECTS


def test_survivors_are_set_aside_by_a_tick() -> None:
    garbage = GcTuning(0)
    garbage.begin()
    before = gc.get_freeze_count()
    kept = [[number] for number in range(3 * YOUNG_OBJECTS)]
    garbage.tick(1)
    assert gc.get_freeze_count() > before + YOUNG_OBJECTS
    assert kept


def test_young_rings_are_freed() -> None:
    garbage = GcTuning(0)
    garbage.begin()
    Ring.freed = 0
    for _ in range(100):
        Ring()
    kept = [[number] for number in range(2 * YOUNG_OBJECTS)]
    garbage.tick(1)
    assert Ring.freed == 100
    assert kept


def test_old_rings_are_freed_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_tuning, "SHORT_COLLECTION_OBJECTS", 0)
    garbage = GcTuning(0)
    ring = Ring()
    garbage.begin()
    Ring.freed = 0
    del ring
    garbage.tick(FULL_COLLECTION_SECONDS - 1)
    assert Ring.freed == 0
    garbage.tick(FULL_COLLECTION_SECONDS)
    assert Ring.freed == 1


def test_old_rings_are_freed_once_an_hour_while_there_are_few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc_tuning, "SHORT_COLLECTION_OBJECTS", 10_000_000)
    garbage = GcTuning(0)
    ring = Ring()
    garbage.begin()
    Ring.freed = 0
    del ring
    garbage.tick(SHORT_COLLECTION_SECONDS - 1)
    assert Ring.freed == 0
    garbage.tick(SHORT_COLLECTION_SECONDS)
    assert Ring.freed == 1
