"""The simulator source: endless invented traffic, seen through the same detection as the real one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.detection.network_state import STATE_VERSION
from swim_server.logs import get_logger
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.airports import LoadAirfields, load_airfields
from swim_server.sources.health import Health
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.simulator.simulation import Simulation, SimulationState
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

FIRST_TICK_SECONDS = 0.2
SHORTEST_TICK_SECONDS, LONGEST_TICK_SECONDS = 1.0, 5.0
FEED_PACE_SECONDS = 15.0
"""In simulated time: as often as the real feed, within the two bounds above."""
IDLE_PER_WORK = 10
"""With very many flights the ticks become longer, so that at most a tenth of a core is used."""
MAX_ELAPSED_SECONDS = 15.0
"""How much a process that was suspended catches up."""
SOON_SECONDS = 5.0
"""Some flights take off and some land within this time, however few there are."""
SAVE_EVERY_SECONDS = 5.0


class SimulatorSource:
    """Runs the invented world faster than the real one, by a factor; its events are dated in real time.

    With a state file, flights continue after a restart where they were: the world pauses in between. After a kill it
    goes back to the last save, repeats the same period, and gives its events the same event ids, which the broker
    knows. Without a file, or with another seed or number of flights, a new world begins, with new flight numbers.
    """

    def __init__(
        self,
        name: str,
        *,
        flights: int = 300,
        speed: float = 30.0,
        seed: int = 1,
        state_path: Path | None = None,
        airfields: LoadAirfields = load_airfields,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 < speed < float("inf") or flights < 1:
            raise ValueError(f"a simulation needs flights and a speed above 0, got {flights} and {speed}")
        details: dict[str, str | int | float | None] = {"flights": flights, "speed": speed, "seed": seed}
        self.status = SourceStatus(name=name, kind="simulator", details=details)
        self.simulation: Simulation | None = None
        """The world, once it has begun; ``simulation.traffic`` has the true times of each flight."""
        self._flights = flights
        self._speed = speed
        self._seed = seed
        self._state_file = StateFile(state_path, SimulationState)
        self._load_airfields = airfields
        self._clock = clock
        self._pending: list[NewEvent] = []
        """Events that happened and are not published yet; the world pauses until they are."""
        self._work_seconds = 0.0
        """The cost of the last tick."""
        self._saved_at: float | None = None
        log = get_logger("sources").bind(source=name)
        self._health = Health(self.status, log, "the simulation", clock=clock)
        self._publisher = EventPublisher(self.status, log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Run the world until cancelled."""
        with WorkerThread("simulator") as worker:
            if self.simulation is None:
                self.simulation = await worker.pass_through(self._begin)
            try:
                await self._live(self.simulation, publish, worker)
            finally:
                if not self._pending:
                    await self._save(self.simulation, worker)

    async def _live(self, simulation: Simulation, publish: Publish, worker: WorkerThread) -> None:
        pause, then = FIRST_TICK_SECONDS, self._clock.monotonic()
        while True:
            await self._publisher.publish(publish, self._pending)
            self._pending = []
            self._health.well()
            await self._save_now_and_then(simulation, worker)
            await self._clock.sleep(pause)
            now = self._clock.monotonic()
            elapsed, then = min(now - then, MAX_ELAPSED_SECONDS), now
            await worker.pass_through(partial(self._advance, simulation, elapsed))
            pause = self._tick_seconds()

    def _begin(self) -> Simulation:
        airfields = self._load_airfields()
        saved = self._state_file.load()
        if self._state_file.fault is not None:
            self._health.trouble(self._state_file.fault)
        wanted = (STATE_VERSION, self._flights, self._seed)
        if saved is not None and (saved.version, saved.flights, saved.seed) == wanted:
            return Simulation(saved, airfields)
        real_ms = self._clock.now_ms()
        return Simulation.begin(
            airfields,
            flights=self._flights,
            seed=self._seed,
            scope=f"{self.status.name}:{real_ms:x}:",
            real_ms=real_ms,
            soon_ms=round(SOON_SECONDS * self._speed * 1000),
        )

    def _advance(self, simulation: Simulation, elapsed: float) -> None:
        began = self._clock.monotonic()
        by_ms = max(1, round(elapsed * self._speed * 1000))
        self._pending = simulation.advance(by_ms, real_ms=self._clock.now_ms(), speed=self._speed)
        self._work_seconds = self._clock.monotonic() - began
        details = self.status.details
        details["simulated_time"] = format_ms(simulation.now_ms)
        details["ground_stops"] = simulation.ground_stops
        details["tick_milliseconds"] = round(self._work_seconds * 1000, 1)

    def _tick_seconds(self) -> float:
        pace = min(LONGEST_TICK_SECONDS, max(SHORTEST_TICK_SECONDS, FEED_PACE_SECONDS / self._speed))
        return max(pace, self._work_seconds * IDLE_PER_WORK)

    async def _save_now_and_then(self, simulation: Simulation, worker: WorkerThread) -> None:
        now = self._clock.monotonic()
        if self._saved_at is None or now - self._saved_at >= SAVE_EVERY_SECONDS:
            self._saved_at = now
            await self._save(simulation, worker)

    async def _save(self, simulation: Simulation, worker: WorkerThread) -> None:
        """Save the world; only called when everything that happened in it has been published."""
        if self._state_file.path is None:
            return
        try:
            await worker.pass_through(lambda: self._state_file.save(simulation.state()))
        except OSError as error:
            self._health.lasting("memory", f"the flights can't be remembered for a restart: {error}")
        else:
            self._health.lasting("memory", None)
