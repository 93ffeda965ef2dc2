"""Keeps the worker processes running: starts them, answers them, and starts another one where one has ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from swim_server.concurrency.backoff import Backoff
from swim_server.daemon.workers.adopting import Adopting
from swim_server.daemon.workers.answers import Authority
from swim_server.daemon.workers.worker_process import WorkerProcess
from swim_server.daemon.workers.workers import ASK_SECONDS, gather_answers
from swim_server.errors import OperatorError
from swim_server.keys.probes import is_probe_id
from swim_server.workers import messages
from swim_server.workers.link import framed
from swim_server.workers.messages import NOTHING, BadKey, Place, Ready, ServiceNews, Unusable, Welcome

if TYPE_CHECKING:
    from swim_server.daemon.workers.primary_parts import PrimaryParts
    from swim_server.daemon.workers.workers import Workers

START_SECONDS = 25.0
"""How long a start waits for its workers; a worker that takes longer is killed and started again."""
LOOK_SECONDS = 0.01
NEWS_SECONDS = 1.0
KILL_SECONDS = 20.0
"""A worker of which nothing was heard for this long is killed: its clients are better off elsewhere."""
MAX_BEHIND_BYTES = 64 * 1024 * 1024
"""A worker that has not taken this much is killed: it must not cost the primary its memory."""
SOON_SECONDS = 10.0
"""A worker that lived less than this is started again only after a pause."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
EVICT_SECONDS = 0.5


class NoWorker(OperatorError):
    """No worker could be started."""


class Keeper:
    """Owns the processes. Lives on the primary's loop."""

    def __init__(self, workers: Workers, primary: PrimaryParts) -> None:
        self._workers = workers
        self._primary = primary
        self._fingerprint = ""
        """Of the code that workers must run; set before the start."""
        self._authority = Authority(
            primary.authenticator, primary.admission, primary.endpoints.tickets, primary.endpoints.gateway,
            bad_key=self._bad_key, evict=self._evict,
        )  # fmt: skip
        self._adopting: dict[WorkerProcess, Adopting] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_ready_to_welcome = asyncio.Event()
        workers.feed.on_told = self._look_for_laggards
        primary.endpoints.refusals.on_bad_key = lambda address, mark: self._bad_key(None, BadKey(address, mark))

    def spawn(self, fingerprint: str) -> None:
        """Start the processes; they import their code, which must be this, while the primary opens what it owns."""
        self._fingerprint = fingerprint
        if self._primary.tls is not None:
            loop = asyncio.get_running_loop()
            self._primary.tls.on_reload = lambda: self._reload_tls_from_thread(loop)
        for number in range(1, self._workers.count + 1):
            self._keepers.append(self._primary.tasks.start(self._keep(number)))

    async def begin(self) -> None:
        """Let the workers follow, now that the broker is open; return once all can be given connections.

        After a while it is enough that one can. Raises NoWorker.
        """
        self._is_ready_to_welcome.set()
        deadline = self._primary.clock.monotonic() + START_SECONDS
        while len(self._workers.ready()) < self._workers.count and self._primary.clock.monotonic() < deadline:
            await self._primary.clock.sleep(LOOK_SECONDS)
            if self._workers.ready() == [] and all(task.done() for task in self._keepers):
                break
        if not self._workers.ready():
            raise NoWorker(
                f"no worker process has started: {'; '.join(self._workers.last_end.values()) or 'none was ready'}"
            )

    async def run(self) -> None:
        """Send each worker news every second, and give up those that don't answer, until cancelled."""
        while True:
            await self._primary.clock.sleep(NEWS_SECONDS)
            position = self._workers.feed.position
            news = ServiceNews(
                clients=self._primary.endpoints.gateway.clients(),
                uptime_seconds=self._primary.endpoints.gateway.uptime_seconds(),
                sources=dict(self._primary.source_ages()),
                epoch=position.epoch,
                generation=position.generation,
            )
            data = framed(messages.NEWS, news)
            for worker in self._workers.serving():  # also those that leave: without news they would count it as lost
                worker.link.write(data)
            for worker in list(self._workers.running.values()):
                if worker.state != "starting" and worker.silent_seconds > KILL_SECONDS:
                    self._give_up(worker, f"nothing was heard of it for {worker.silent_seconds:.0f} s")

    async def _keep(self, number: int) -> None:
        """Keep one worker running."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._primary.clock)
        while not self._workers.is_stopping:
            try:
                worker = await self._start(number)
            except OSError as error:
                self._workers.last_end[number] = f"it can't be started: {error.strerror or error}"
                self._primary.log.error("a worker can't be started", worker=number, reason=error.strerror or str(error))
            else:
                await self._attend(worker)
                if worker.unusable is not None:
                    return
                if self._primary.clock.monotonic() - worker.started_at >= SOON_SECONDS:
                    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._primary.clock)
                    self._workers.note_restart(number)
                    continue
            if not self._workers.is_stopping:
                self._workers.note_restart(number)
                await self._primary.clock.sleep(backoff.fail())

    async def _start(self, number: int) -> WorkerProcess:
        adopting = Adopting(self._primary.public, self._primary.tls, self._primary.tasks)
        worker = await WorkerProcess.start(number, self._primary.clock, self._primary.on_failure, adopting.descriptor)
        self._adopting[worker] = adopting
        self._workers.running[number] = worker
        link = worker.link
        self._authority.attach(worker)
        self._workers.feed.attach(link)
        link.on(messages.READY, lambda ready: self._ready_now(worker, ready))
        link.on(messages.UNUSABLE, lambda told: self._unusable(worker, told))
        link.on(messages.REPORT, worker.reported)
        link.on(messages.OPENED, worker.told_opened)
        link.on(messages.LOG, self._write_log)
        link.on(messages.PLAIN, adopting.request)
        return worker

    async def _attend(self, worker: WorkerProcess) -> None:
        """Welcome a worker, and wait until it has ended; what it held is free by then."""
        try:
            await self._is_ready_to_welcome.wait()
            worker.events_before = self._workers.feed.events
            worker.config, home = self._primary.config.values, str(self._primary.home.path)
            welcome = Welcome(config=worker.config, home=home, fingerprint=self._fingerprint)
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
        if not self._workers.is_stopping and worker.unusable is None:
            reason = self._workers.last_end.pop(worker.number, "") or _described(exit_code)
            self._workers.last_end[worker.number] = reason
            self._primary.log.error(
                "a worker has ended: it is started again, its clients reconnect and resume",
                worker=worker.number, pid=worker.pid, reason=reason, was_ready=was_ready,
            )  # fmt: skip

    def _forget(self, worker: WorkerProcess) -> None:
        worker.state = "gone"
        self._workers.note_gone(worker)
        self._workers.feed.detach(worker.link)
        self._authority.release_all(worker)
        self._adopting.pop(worker).close()
        self._workers.running.pop(worker.number, None)

    def _give_up(self, worker: WorkerProcess, reason: str) -> None:
        self._workers.last_end[worker.number] = reason
        worker.kill()

    def _ready_now(self, worker: WorkerProcess, ready: Ready) -> None:
        worker.heard()
        worker.capacity, worker.state = ready.capacity, "ready"
        if not worker.ready.done():
            worker.ready.set_result(None)
        if worker.config is not self._primary.config.values:  # it was changed meanwhile
            worker.config = self._primary.config.values
            worker.link.ask(messages.RELOAD, worker.config)
        if self._workers.is_paused:
            worker.link.ask(messages.PAUSE, NOTHING)
        self._primary.log.info("worker ready", worker=worker.number, pid=worker.pid)

    def _unusable(self, worker: WorkerProcess, told: Unusable) -> None:
        worker.state = "leaving"
        if told.is_final:
            worker.unusable = self._workers.last_end[worker.number] = told.reason
            self._primary.log.error("a worker is not used", worker=worker.number, reason=told.reason)
        else:
            self._workers.last_end[worker.number] = told.reason

    def _write_log(self, text: str) -> None:
        if self._primary.log_stream is not None:
            self._primary.log_stream.write(text)

    def _bad_key(self, teller: WorkerProcess | None, bad: BadKey) -> None:
        """Tell every other process of a bad key."""
        if teller is not None:
            self._primary.endpoints.refusals.failed_elsewhere(bad.address, bad.mark)
        data = framed(messages.BAD_KEY, bad)
        for worker in self._workers.ready():
            if worker is not teller:
                worker.link.write(data)

    async def _evict(self, tier: str) -> bool:
        """Have one of doctor's clients leave."""
        for worker in self._workers.ready():
            probe = next((key for key in worker.places if key[0] == tier and is_probe_id(key[1])), None)
            if probe is None:
                continue
            worker.link.tell(messages.EVICT, Place(*probe))
            before = self._primary.admission.current(tier)
            deadline = self._primary.clock.monotonic() + EVICT_SECONDS
            while self._primary.clock.monotonic() < deadline:
                if self._primary.admission.current(tier) < before:
                    return True
                await self._primary.clock.sleep(0.005)
        return False

    def _look_for_laggards(self) -> None:
        for worker in self._workers.running.values():
            if worker.link.waiting_bytes > MAX_BEHIND_BYTES:
                self._give_up(worker, f"it was {worker.link.waiting_bytes >> 20} MiB behind")

    def _reload_tls_from_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._reload_tls(), loop).result(ASK_SECONDS + 1)

    async def _reload_tls(self) -> None:
        """Have every worker show the certificate that has just been loaded."""
        asked = [worker.link.ask(messages.RELOAD_TLS, NOTHING) for worker in self._workers.ready()]
        await gather_answers(asked, ASK_SECONDS)

    def abort(self) -> None:
        """Drop all clients of all workers."""
        self._workers.is_stopping = True
        for worker in self._workers.running.values():
            worker.kill()

    async def close(self) -> None:
        """End every worker; return once all have ended. Idempotent."""
        self._workers.is_stopping = True
        self._is_ready_to_welcome.set()
        for worker in self._workers.running.values():
            worker.link.close()
        if self._keepers:
            await asyncio.wait(self._keepers)


def _described(exit_code: int) -> str:
    return f"killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
