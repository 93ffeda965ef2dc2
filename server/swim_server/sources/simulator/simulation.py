"""The invented world as a whole: traffic and ground stops, seen snapshot by snapshot, reported as events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import msgspec

from swim_server.detection.airfields import Airfields
from swim_server.detection.detect import detect
from swim_server.detection.network_state import STATE_VERSION, NetworkState
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.simulator.programs import MINUTE_MS, Change, Programs, ProgramsState
from swim_server.sources.simulator.traffic import Traffic, TrafficState
from swim_server.sources.simulator.world import NearestCentre

SNAPSHOT_MS = 30_000
"""Simulated time between two compared snapshots, unless time runs so fast that they would be too many."""
MAX_SNAPSHOTS = 20
"""Maximum number of snapshots per advance; beyond it the steps become longer instead."""
FIRST_STOP_MS = 4 * MINUTE_MS


class SimulationState(msgspec.Struct, frozen=True, kw_only=True, rename={"network_state": "stage"}):
    """What must be saved to continue with the same flights."""

    version: int = STATE_VERSION
    flights: int
    seed: int
    first_program: int
    """Program ids begin here."""
    now_ms: int
    """Simulated."""
    traffic: TrafficState
    programs: ProgramsState
    issued_ms: dict[int, int]
    """The real times at which the ground stops in force were issued, by program id."""
    network_state: NetworkState


class Simulation:
    """Lets simulated time pass. The same state and the same times give the same events."""

    def __init__(self, state: SimulationState, airfields: Airfields) -> None:
        """Continue from a saved state."""
        self.now_ms = state.now_ms
        """Simulated time."""
        self.traffic = Traffic(airfields, seed=state.seed)
        self.traffic.resume(state.traffic)
        self._began = state
        self._airfields = airfields
        self._programs = Programs(state.seed, state.programs)
        self._issued_ms = dict(state.issued_ms)
        self._network_state = state.network_state
        self._centres = NearestCentre()

    @classmethod
    def begin(
        cls, airfields: Airfields, *, flights: int, seed: int, scope: str, real_ms: int, soon_ms: int
    ) -> Simulation:
        """Begin a world in progress; some flights take off and some land within ``soon_ms``."""
        traffic = Traffic(airfields, seed=seed)
        traffic.begin(flights, real_ms, soon_ms)
        network_state = detect(
            NetworkState(scope=scope), traffic.snapshot(real_ms - SNAPSHOT_MS), airfields
        ).network_state
        state = SimulationState(
            flights=flights,
            seed=seed,
            first_program=real_ms // 1000,
            now_ms=real_ms,
            traffic=traffic.state(),
            programs=ProgramsState(real_ms, 1, real_ms + FIRST_STOP_MS),
            issued_ms={},
            network_state=network_state,
        )
        return cls(state, airfields)

    def state(self) -> SimulationState:
        """Return what is needed to continue later."""
        return msgspec.structs.replace(
            self._began,
            now_ms=self.now_ms,
            traffic=self.traffic.state(),
            programs=self._programs.state(),
            issued_ms=self._issued_ms,
            network_state=self._network_state,
        )

    @property
    def ground_stops(self) -> int:
        """The number of ground stops in force."""
        return len(self._issued_ms)

    def advance(self, by_ms: int, *, real_ms: int, speed: float) -> list[NewEvent]:
        """Advance time and return what happened, in order, dated in real time."""
        snapshots = max(1, min(MAX_SNAPSHOTS, ceil(by_ms / SNAPSHOT_MS)))
        began_ms = self.now_ms
        seen: list[NewEvent] = []
        for number in range(1, snapshots + 1):
            self.now_ms = began_ms + by_ms * number // snapshots
            self.traffic.advance(self.now_ms)
            detection = detect(
                self._network_state,
                self.traffic.snapshot(self.now_ms),
                self._airfields,
                regions=self._centres,
                with_positions=number == snapshots,
            )
            self._network_state = detection.network_state
            seen += detection.events
        clock = _RealClock(self.now_ms, real_ms, speed)
        stops = [self._tell(change, clock) for change in self._programs.advance(self.now_ms)]
        return [*clock.redate(seen), *stops]

    def _tell(self, change: Change, clock: _RealClock) -> NewEvent:
        stop, at_ms = change.stop, clock.real(change.at_ms)
        program_id = self._began.first_program + stop.number
        data: dict[str, Any] = {"program_id": program_id, "program_type": "GS", "airport": stop.airport}
        if change.kind == "released":
            is_over = stop.released_ms == stop.end_ms
            data |= {"status": "COMPLETED" if is_over else "CANCELLED", "end_time": format_ms(at_ms)}
            self._issued_ms.pop(program_id, None)
        else:
            end_ms = stop.planned_end_ms if change.kind == "issued" else stop.end_ms
            start_ms = self._issued_ms.setdefault(program_id, at_ms)
            data |= {"start_time": format_ms(start_ms), "end_time": format_ms(clock.real(end_ms))}
            data |= {"reason": stop.reason, "status": "ACTIVE"}
        name = f"{self._network_state.scope}tmi.{change.kind}:{program_id}"
        return NewEvent(type=f"tmi.{change.kind}", data=data, timestamp_ms=at_ms, event_id=name)


class _RealClock:
    """Converts simulated times to real ones: with time running 60 times as fast, a minute ago is a second ago."""

    def __init__(self, simulated_ms: int, real_ms: int, speed: float) -> None:
        self._simulated_ms = simulated_ms
        self._real_ms = real_ms
        self._speed = speed

    def real(self, simulated_ms: int) -> int:
        return self._real_ms + round((simulated_ms - self._simulated_ms) / self._speed)

    def redate(self, events: Sequence[NewEvent]) -> list[NewEvent]:
        return [self._redate(event) for event in events]

    def _redate(self, event: NewEvent) -> NewEvent:
        at_ms = None if event.timestamp_ms is None else self.real(event.timestamp_ms)
        data = event.data
        for name in ("off_utc", "in_utc"):
            if name in data and at_ms is not None:
                data = {**data, name: format_ms(at_ms)}
        return msgspec.structs.replace(event, timestamp_ms=at_ms, data=data)
