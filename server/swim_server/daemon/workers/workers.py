"""All workers of a primary: kept running, fed, given connections, and asked together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, TypeVar

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.concurrency.backoff import Backoff
from swim_server.daemon.workers.acceptor import Acceptor
from swim_server.daemon.workers.adopting import Adopting
from swim_server.daemon.workers.answers import Authority
from swim_server.daemon.workers.worker_process import WorkerProcess
from swim_server.errors import OperatorError
from swim_server.gateway.rpc import RpcError
from swim_server.gateway.tls_entrance import TlsEntrance
from swim_server.keys.probes import is_probe_id
from swim_server.workers import messages
from swim_server.workers.feed import Feed
from swim_server.workers.link import LinkLost, framed
from swim_server.workers.messages import (
    NOTHING,
    Asked,
    BadKey,
    Counted,
    Nothing,
    Opened,
    Place,
    Pulse,
    Ready,
    Report,
    Unusable,
    Welcome,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from swim_server.brokers.served_history import ServedHistory
    from swim_server.concurrency.clock import Clock
    from swim_server.daemon.components import Core
    from swim_server.daemon.log_stream import LogStream
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.endpoint import Endpoint
    from swim_server.gateway.tls import TlsCertificate
    from swim_server.logs import Logger
    from swim_server.protocol.events import Event

START_SECONDS = 25.0
"""How long a start waits for its workers; a worker that takes longer is killed and started again."""
PULSE_SECONDS = 1.0
KILL_SECONDS = 20.0
"""A worker of which nothing was heard for this long is killed: its clients are better off elsewhere."""
MAX_BEHIND_BYTES = 64 * 1024 * 1024
"""A worker that has not taken this much is killed: it must not cost the primary its memory."""
SOON_SECONDS = 10.0
"""A worker that lived less than this is started again only after a pause."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
PAUSE_ANSWER_SECONDS = 3.0
LOOK_SECONDS = 1.0
ASK_SECONDS = 3.0
"""How long a worker has to answer what an operator asks."""
RECENT_SECONDS = 600.0
EVICT_SECONDS = 0.5

D = TypeVar("D")


class NoWorker(OperatorError):
    """No worker could be started."""


class Workers:
    """Owns the worker processes. Lives on the primary's loop."""

    def __init__(
        self,
        count: int,
        core: Core,
        endpoints: EndpointContext,
        history: ServedHistory,
        *,
        public: Callable[[], Endpoint],
        tls: TlsCertificate | None,
        clock: Clock,
        log: Logger,
        log_stream: LogStream | None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.count = count
        self.running: dict[int, WorkerProcess] = {}
        """By number, from 1; those that are alive."""
        self.restarts: dict[int, int] = dict.fromkeys(range(1, count + 1), 0)
        """How often each was started again, since the start."""
        self._restarted_at: deque[tuple[int, float]] = deque(maxlen=1000)
        self._past = Counted()
        """What workers that are gone had counted."""
        self.last_end: dict[int, str] = {}
        """Why each last ended."""
        self.silent: list[str] = []
        """The workers that have not confirmed the last change of a key."""
        self.feed = Feed(core.broker, history, core.tasks)
        self.fingerprint = ""
        """Of the code that workers must run; set before the start."""
        self._core = core
        self._endpoints = endpoints
        self._public = public
        self._tls = tls
        self._clock = clock
        self._log = log
        self._log_stream = log_stream
        self._on_failure = on_failure
        self._authority = Authority(
            core.authenticator,
            core.admission,
            endpoints.tickets,
            endpoints.gateway,
            bad_key=self._bad_key,
            evict=self._evict,
        )
        self._adopting: dict[WorkerProcess, Adopting] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_ready_to_welcome = asyncio.Event()
        self._is_stopping = False
        self._is_paused = False
        self.feed.on_told = self._look_for_laggards
        endpoints.refusals.on_bad_key = lambda address, mark: self._bad_key(None, BadKey(address, mark))

    # Life.

    def spawn(self, fingerprint: str) -> None:
        """Start the processes; they import their code, which must be this, while the primary opens what it owns."""
        self.fingerprint = fingerprint
        if self._tls is not None:
            loop = asyncio.get_running_loop()
            self._tls.on_reload = lambda: asyncio.run_coroutine_threadsafe(self._reload_tls(), loop).result()
        for number in range(1, self.count + 1):
            self._keepers.append(self._core.tasks.start(self._keep(number)))

    async def begin(self) -> None:
        """Let the workers follow, now that the broker is open; return once all can be given connections.

        After a while it is enough that one can. Raises NoWorker.
        """
        self._is_ready_to_welcome.set()
        deadline = self._clock.monotonic() + START_SECONDS
        while len(self.ready()) < self.count and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.01)
            if self.ready() == [] and all(task.done() for task in self._keepers):
                break
        if not self.ready():
            raise NoWorker(f"no worker process has started: {'; '.join(self.last_end.values()) or 'none was ready'}")

    async def run(self) -> None:
        """Send each worker a pulse every second, and give up those that don't answer, until cancelled."""
        while True:
            await self._clock.sleep(PULSE_SECONDS)
            position = self.feed.position
            pulse = Pulse(
                clients=self._endpoints.gateway.clients(),
                uptime_seconds=self._endpoints.gateway.uptime_seconds(),
                sources=self._core.sources.event_ages(),
                epoch=position.epoch,
                generation=position.generation,
            )
            self._tell_all(framed(messages.PULSE, pulse))
            for worker in list(self.running.values()):
                if worker.state != "starting" and worker.silent_seconds > KILL_SECONDS:
                    self._give_up(worker, f"nothing was heard of it for {worker.silent_seconds:.0f} s")

    async def _keep(self, number: int) -> None:
        """Keep one worker running."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._clock)
        while not self._is_stopping:
            try:
                worker = await self._start(number)
            except OSError as error:
                self.last_end[number] = f"it can't be started: {error.strerror or error}"
                self._log.error("a worker can't be started", worker=number, reason=error.strerror or str(error))
            else:
                await self._attend(worker)
                if worker.unusable is not None:
                    return
                if self._clock.monotonic() - worker.started_at >= SOON_SECONDS:
                    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._clock)
                    self._note_restart(number)
                    continue
            if not self._is_stopping:
                self._note_restart(number)
                await self._clock.sleep(backoff.fail())

    def _note_restart(self, number: int) -> None:
        self.restarts[number] += 1
        self._restarted_at.append((number, self._clock.monotonic()))

    def recent_restarts(self, number: int) -> int:
        """Return how often a worker was started again within the last ten minutes."""
        since = self._clock.monotonic() - RECENT_SECONDS
        return sum(each == number and at >= since for each, at in self._restarted_at)

    async def _start(self, number: int) -> WorkerProcess:
        adopting = Adopting(self._public, self._tls, self._core.tasks)
        worker = await WorkerProcess.start(number, self._clock, self._on_failure, adopting.descriptor)
        self._adopting[worker] = adopting
        self.running[number] = worker
        link = worker.link
        self._authority.attach(worker)
        self.feed.attach(link)
        link.on(messages.READY, lambda ready: self._ready_now(worker, ready))
        link.on(messages.UNUSABLE, lambda told: self._unusable(worker, told))
        link.on(messages.REPORT, lambda report: self._reported(worker, report))
        link.on(messages.OPENED, lambda opened: self._opened(worker, opened))
        link.on(messages.LOG, self._write_log)
        link.on(messages.PLAIN, adopting.request)
        return worker

    async def _attend(self, worker: WorkerProcess) -> None:
        """Welcome a worker, and wait until it has ended; what it held is free by then."""
        try:
            await self._is_ready_to_welcome.wait()
            worker.events_before = self.feed.events
            worker.config, home = self._core.config.values, str(self._core.home.path)
            welcome = Welcome(config=worker.config, home=home, fingerprint=self.fingerprint)
            worker.link.tell(messages.WELCOME, welcome)
            await asyncio.wait([worker.ready, worker.link.lost], timeout=START_SECONDS, return_when="FIRST_COMPLETED")
            if not worker.ready.done() and not worker.link.lost.done():
                self._give_up(worker, f"it was not ready within {START_SECONDS:g} s")
            await asyncio.shield(worker.link.lost)
        finally:
            was_ready = worker.ready.done()
            self._forget(worker)
            worker.link.abort()
            exit_code = await worker.ended()
        if not self._is_stopping and worker.unusable is None:
            reason = self.last_end.pop(worker.number, "") or _described(exit_code)
            self.last_end[worker.number] = reason
            self._log.error(
                "a worker has ended: it is started again, its clients reconnect and resume",
                worker=worker.number, pid=worker.pid, reason=reason, was_ready=was_ready,
            )  # fmt: skip

    def _forget(self, worker: WorkerProcess) -> None:
        worker.state = "gone"
        self._past = self._past.plus(worker.report.counted)
        self.feed.detach(worker.link)
        self._authority.release_all(worker)
        self._adopting.pop(worker).close()
        self.running.pop(worker.number, None)

    def _give_up(self, worker: WorkerProcess, reason: str) -> None:
        self.last_end[worker.number] = reason
        worker.kill()

    def ready(self) -> list[WorkerProcess]:
        """Return the workers that serve."""
        return [worker for worker in self.running.values() if worker.state == "ready"]

    # What a worker tells.

    def _ready_now(self, worker: WorkerProcess, ready: Ready) -> None:
        worker.heard()
        worker.capacity, worker.state = ready.capacity, "ready"
        if not worker.ready.done():
            worker.ready.set_result(None)
        if worker.config is not self._core.config.values:  # it was changed meanwhile
            worker.config = self._core.config.values
            worker.link.ask(messages.RELOAD, worker.config)
        if self._is_paused:
            worker.link.ask(messages.PAUSE, NOTHING)
        self._log.info("worker ready", worker=worker.number, pid=worker.pid)

    def _unusable(self, worker: WorkerProcess, told: Unusable) -> None:
        worker.state = "leaving"
        if told.is_final:
            worker.unusable = self.last_end[worker.number] = told.reason
            self._log.error("a worker is not used", worker=worker.number, reason=told.reason)
        else:
            self.last_end[worker.number] = told.reason

    def _reported(self, worker: WorkerProcess, report: Report) -> None:
        worker.heard()
        worker.report = report

    def _opened(self, worker: WorkerProcess, opened: Opened) -> None:
        worker.heard()
        worker.opened = opened

    def _write_log(self, text: str) -> None:
        if self._log_stream is not None:
            self._log_stream.write(text)

    def _bad_key(self, teller: WorkerProcess | None, bad: BadKey) -> None:
        """Tell every other process of a bad key."""
        if teller is not None:
            self._endpoints.refusals.failed_elsewhere(bad.address, bad.mark)
        data = framed(messages.BAD_KEY, bad)
        for worker in self.ready():
            if worker is not teller:
                worker.link.write(data)

    async def _evict(self, tier: str) -> bool:
        """Have one of doctor's clients leave."""
        for worker in self.ready():
            probe = next((key for key in worker.places if key[0] == tier and is_probe_id(key[1])), None)
            if probe is None:
                continue
            worker.link.tell(messages.EVICT, Place(*probe))
            before = self._core.admission.current(tier)
            deadline = self._clock.monotonic() + EVICT_SECONDS
            while self._clock.monotonic() < deadline:
                if self._core.admission.current(tier) < before:
                    return True
                await self._clock.sleep(0.005)
        return False

    # Connections.

    async def serve(self, listener: socket.socket) -> Acceptor:
        """Accept on a listening socket."""
        return Acceptor(listener, self.give)

    def give(self, connection: socket.socket) -> None:
        """Give a connection to the worker that has the fewest; without one, serve it here."""
        able = [worker for worker in self.running.values() if worker.is_able]
        if able:
            min(able, key=_open).give(connection)
        elif self._tls is not None:
            address = connection.getpeername()
            entrance = TlsEntrance(self._endpoints, self._endpoints.public_kind, connection)
            entrance.enter(str(address[0]), self._tls.context, self._public)
        else:
            self._core.tasks.start(self._serve_here(connection))

    async def _serve_here(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._public, connection)
        except OSError:
            connection.close()  # the peer has gone

    # Events.

    def deliver(self, events: Sequence[Event]) -> None:
        """Tell every worker these events."""
        self.feed.deliver(events)

    def _look_for_laggards(self) -> None:
        for worker in self.running.values():
            if worker.link.waiting_bytes > MAX_BEHIND_BYTES:
                self._give_up(worker, f"it was {worker.link.waiting_bytes >> 20} MiB behind")

    def lag_events(self, worker: WorkerProcess) -> int:
        """Return how many events a worker had not received when it last reported."""
        return max(self.feed.events - worker.events_before - worker.report.events, 0)

    # All together.

    def _tell_all(self, data: bytes) -> None:
        for worker in self.ready():
            worker.link.write(data)

    async def pause(self) -> None:
        """Admit nobody in any worker, until ``resume``: exactly those already admitted count."""
        self._is_paused = True
        await _wait([worker.link.ask(messages.PAUSE, NOTHING) for worker in self.ready()], PAUSE_ANSWER_SECONDS)

    def counted(self) -> Counted:
        """Return what all workers have counted since the start, those that are gone included."""
        found = self._past
        for worker in self.running.values():
            found = found.plus(worker.report.counted)
        return found

    async def look(self) -> None:
        """Have every worker report now; one that does not answer at once keeps its last report."""
        asked = {worker: worker.link.ask(messages.LOOK, NOTHING) for worker in self.ready()}
        if asked:
            await asyncio.wait(asked.values(), timeout=LOOK_SECONDS)
        for worker, answer in asked.items():
            if answer.done() and answer.exception() is None:
                worker.report = answer.result()

    async def ask(
        self, method: str, params: Mapping[str, object], kind: type[D], *, seconds: float = ASK_SECONDS
    ) -> tuple[list[D], list[RpcError]]:
        """Ask every worker a method of the control socket; return what those answer that do so in time."""
        body = Asked(method, msgspec.json.encode(params))
        asked = [worker.link.ask(messages.ASK, body) for worker in self.ready()]
        if asked:
            await asyncio.wait(asked, timeout=seconds)
        found: list[D] = []
        refused: list[RpcError] = []
        for answer in asked:
            error = answer.exception() if answer.done() else LinkLost()
            if error is None:
                found.append(msgspec.json.decode(answer.result().result, type=kind))
            elif isinstance(error, RpcError):
                refused.append(error)
        return found, refused

    async def _reload_tls(self) -> None:
        """Have every worker show the certificate that has just been loaded."""
        await _wait([worker.link.ask(messages.RELOAD_TLS, NOTHING) for worker in self.ready()], ASK_SECONDS)

    async def reload(self) -> None:
        """Have every worker apply the configuration in force, and read the keys of its clients again."""
        config = self._core.config.values
        for worker in self.ready():
            worker.config = config
        await _wait([worker.link.ask(messages.RELOAD, config) for worker in self.ready()], ASK_SECONDS)

    def resume(self) -> None:
        """Admit clients again. Idempotent."""
        self._is_paused = False
        self._tell_all(framed(messages.RESUME, NOTHING))

    async def leave(self, skip_pacing: asyncio.Event, *, seconds: float) -> None:
        """Have every worker ask its clients to reconnect; return once they have left, at the latest after a while."""
        self._is_stopping = True
        leaving = self.ready()
        if not leaving:
            return
        first, asked = self._endpoints.gateway.clients(), list[asyncio.Future[Nothing]]()
        for worker in leaving:
            worker.state = "leaving"
            asked.append(worker.link.ask(messages.LEAVE, messages.Leave(not skip_pacing.is_set(), first)))
            first += worker.open
        hurried = asyncio.create_task(self._hurry(skip_pacing, leaving))
        try:
            await _wait(asked, seconds)
        finally:
            hurried.cancel()

    async def _hurry(self, skip_pacing: asyncio.Event, leaving: Sequence[WorkerProcess]) -> None:
        if skip_pacing.is_set():
            return
        await skip_pacing.wait()
        for worker in leaving:
            worker.link.ask(messages.LEAVE, messages.Leave(False, 0))

    def abort(self) -> None:
        """Drop all clients of all workers."""
        self._is_stopping = True
        for worker in self.running.values():
            worker.kill()

    async def close(self) -> None:
        """End every worker; return once all have ended. Idempotent."""
        self._is_stopping = True
        self._is_ready_to_welcome.set()
        for worker in self.running.values():
            worker.link.close()
        if self._keepers:
            await asyncio.wait(self._keepers)


async def _wait(asked: Sequence[asyncio.Future[Nothing]], seconds: float) -> None:
    """Wait for answers; a worker that is gone or silent needs not answer."""
    if asked:
        done, _ = await asyncio.wait(asked, timeout=seconds)
        for waiter in done:
            with contextlib.suppress(LinkLost, BrokerUnavailable):
                waiter.result()


def _open(worker: WorkerProcess) -> int:
    return worker.open


def _described(exit_code: int) -> str:
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
