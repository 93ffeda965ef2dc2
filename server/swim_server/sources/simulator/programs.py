"""Invented ground stops: issued, most of them extended once, released. Pure: the same seed, the same stops."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal, NamedTuple

import msgspec

from swim_server.sources.simulator.world import STOP_REASONS, STOPPED_AIRPORTS

MINUTE_MS = 60_000


class GroundStop(NamedTuple):
    """One ground stop from beginning to end."""

    number: int
    airport: str
    reason: str
    begins_ms: int
    planned_end_ms: int
    """As issued."""
    modified_ms: int | None
    """When its end is postponed."""
    end_ms: int
    """As modified, else as issued."""
    released_ms: int
    """At its end or earlier."""


class Change(NamedTuple):
    """Something that happens to a ground stop."""

    at_ms: int
    kind: Literal["issued", "modified", "released"]
    stop: GroundStop


class ProgramsState(msgspec.Struct, frozen=True):
    """What must be saved to continue the ground stops."""

    told_ms: int
    """Changes up to this time have been reported."""
    next_number: int
    next_begins_ms: int
    active: list[tuple[int, int]] = []
    """Number and beginning."""


class Programs:
    """An endless series of ground stops, two or three in force at a time."""

    def __init__(self, seed: int, state: ProgramsState) -> None:
        self._seed = seed
        self._told_ms = state.told_ms
        self._next = make_ground_stop(seed, state.next_number, state.next_begins_ms)
        self._active = [make_ground_stop(seed, number, begins_ms) for number, begins_ms in state.active]

    def state(self) -> ProgramsState:
        """Return what is needed to continue later."""
        active = [(stop.number, stop.begins_ms) for stop in self._active]
        return ProgramsState(self._told_ms, self._next.number, self._next.begins_ms, active)

    def advance(self, now_ms: int) -> list[Change]:
        """Return what happened since the last call, in order."""
        while self._next.begins_ms <= now_ms:
            self._active.append(self._next)
            random = Random(f"{self._seed}:gap {self._next.number}")
            gap_ms = random.randint(8, 25) * MINUTE_MS
            self._next = make_ground_stop(self._seed, self._next.number + 1, self._next.begins_ms + gap_ms)
        changes = [change for stop in self._active for change in _life(stop) if self._told_ms < change.at_ms <= now_ms]
        self._active = [stop for stop in self._active if stop.released_ms > now_ms]
        self._told_ms = now_ms
        return sorted(changes, key=lambda change: change.at_ms)


def make_ground_stop(seed: int, number: int, begins_ms: int) -> GroundStop:
    """Build the ground stop with this number: always the same one."""
    random = Random(f"{seed}:ground stop {number}")
    planned_end_ms = begins_ms + random.randint(30, 60) * MINUTE_MS
    is_extended = random.random() < 0.6
    end_ms = planned_end_ms + random.randint(15, 45) * MINUTE_MS if is_extended else planned_end_ms
    is_early = random.random() < 0.4
    last_known_ms = begins_ms + (planned_end_ms - begins_ms) * 2 // 3
    return GroundStop(
        number,
        STOPPED_AIRPORTS[(number * 5 + seed) % len(STOPPED_AIRPORTS)],
        random.choice(STOP_REASONS),
        begins_ms,
        planned_end_ms,
        last_known_ms if is_extended else None,
        end_ms,
        end_ms - (end_ms - last_known_ms) // 2 if is_early else end_ms,
    )


def _life(stop: GroundStop) -> Iterator[Change]:
    yield Change(stop.begins_ms, "issued", stop)
    if stop.modified_ms is not None:
        yield Change(stop.modified_ms, "modified", stop)
    yield Change(stop.released_ms, "released", stop)
