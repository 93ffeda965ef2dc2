"""The life of one worker: it follows its primary, serves the connections that it is given, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.daemon import process
from swim_server.daemon.drain import drain
from swim_server.daemon.nodes.clients import give_up
from swim_server.daemon.rules import publishing_rules, tier_limits
from swim_server.daemon.workers.methods import WorkerMethods, build_report
from swim_server.gateway.descriptor_guard import MOST_RESERVED, descriptor_limit
from swim_server.gateway.endpoint import Endpoint
from swim_server.gateway.tls_entrance import TlsEntrance
from swim_server.sql.errors import StoreError
from swim_server.streaming.recent import preload
from swim_server.workers import messages
from swim_server.workers.messages import (
    NOTHING,
    ChangedKey,
    Closed,
    Leave,
    Nothing,
    Opened,
    Place,
    Ready,
    Recheck,
    ServiceNews,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from swim_server.config import Config
    from swim_server.daemon.workers.worker_parts import WorkerParts
    from swim_server.protocol.events import Event

REPORT_SECONDS = 1.0
SETTLE_SECONDS = 1.0
"""How long clients that have just connected may take to be admitted before another process takes over."""
SILENT_SECONDS = 20
"""A worker that hears nothing of its primary for so long ends: its clients would wait for events in vain."""
ORPHAN_SECONDS = 0.3
"""How long the clients of a worker whose primary has died have to take their leave."""


class Worker:
    """One worker's process. ``run`` is its whole life."""

    def __init__(self, parts: WorkerParts) -> None:
        self.parts = parts
        self._gateway = parts.endpoints.gateway
        self._skip_pacing = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None
        self._received = 0
        """Descriptors received."""
        self._entering = 0
        """Connections that are not endpoints yet."""
        self._is_open_due = False
        self._silent_seconds: int | None = None
        """How long nothing was heard of the primary; None: it has not begun to tell its news."""
        self._methods = WorkerMethods(parts)
        self._peers = 0
        self._gateway.on_count = self._count
        self._listen()

    def _listen(self) -> None:
        link = self.parts.link
        link.on(messages.NEWS, self._note_news)
        link.on(messages.BAD_KEY, lambda bad: self.parts.endpoints.refusals.failed_elsewhere(bad.address, bad.mark))
        link.on(messages.EVICT, self._evict)
        link.on(messages.GIVE_UP, lambda excess: give_up(self.parts.hub, excess.tier, excess.connections))
        link.on(messages.RESUME, self._resume)
        link.answer(messages.KEY_CHANGED, self._key_changed)
        link.answer(messages.RECHECK, self._recheck)
        link.answer(messages.PAUSE, self._pause)
        link.answer(messages.LEAVE, self._leave)
        link.answer(messages.RELOAD, self._reload)
        link.answer(messages.RELOAD_TLS, self._reload_tls)
        link.answer(messages.LOOK, lambda _: build_report(self.parts))
        link.answer(messages.ASK, self._methods.answer)
        refusals = self.parts.endpoints.refusals
        refusals.on_bad_key = lambda address, mark: link.tell(messages.BAD_KEY, messages.BadKey(address, mark))

    # Life.

    async def run(self) -> None:
        """Follow the primary and serve until it is gone."""
        parts = self.parts
        process.prepare_descriptors(sum(each.connections for each in parts.admission.limits.values()), parts.log)
        running: list[asyncio.Task[None]] = []
        try:
            await parts.broker.open(self._deliver)
            parts.hub.begin_after(parts.broker.newest_id)
            with contextlib.suppress(BrokerUnavailable):  # then each client that resumes reads history
                await preload(parts.hub.recent, parts.broker)
            await parts.state_keeper.begin(parts.tasks)
            work = [parts.loop_lag.run(), parts.key_watch.run(), parts.throughput.run(), parts.state_keeper.run()]
            work.append(self._report())
            running = [asyncio.create_task(each) for each in work]
            silence = asyncio.create_task(self._primary_silent())
            running.append(silence)
            parts.link.tell(messages.READY, Ready(capacity=self._capacity()))
            done, _ = await asyncio.wait([parts.link.lost, *running], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {parts.link.lost, silence}:
                task.result()
                raise AssertionError("none of these ends by itself")
            await self._end_as_orphan()
        except BrokerUnavailable:
            return  # the primary has gone before this worker could follow it
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for peer in list(self._gateway.peers):
                peer.abort()
            await parts.tasks.close()
            await parts.broker.close()

    async def _primary_silent(self) -> None:
        """Return once nothing was heard of the primary for long, although it lives.

        Only seconds in which this process runs are counted: a machine or a group of processes may be paused as a whole.
        """
        while self._silent_seconds is None or self._silent_seconds < SILENT_SECONDS:
            await asyncio.sleep(1)
            if self._silent_seconds is not None:
                self._silent_seconds += 1

    async def _end_as_orphan(self) -> None:
        """Ask the clients that are left to reconnect: the primary is gone or stuck, and has not asked them."""
        self._gateway.is_draining = True
        self._skip_pacing.set()
        if self._gateway.peers:
            await drain(self._gateway, self._skip_pacing, close_timeout_seconds=ORPHAN_SECONDS)

    def request_stop(self) -> None:
        """Ask all clients to reconnect, and end; the primary starts another worker."""
        self._leave(Leave(is_paced=False, first=0))
        self.parts.link.tell(messages.UNUSABLE, messages.Unusable("it was asked to stop", is_final=False))
        assert self._leaving is not None, "it was just begun"
        self._leaving.add_done_callback(lambda _: self.parts.link.close())

    def _capacity(self) -> int:
        limit = descriptor_limit()
        return limit - min(self.parts.config.values.server.descriptor_reserve, int(limit * MOST_RESERVED))

    def _deliver(self, events: Sequence[Event]) -> None:
        self.parts.hub.deliver(events)
        self.parts.latency.delivered(events[-1].id.milliseconds)

    async def _report(self) -> None:
        """Tell the primary how this worker is, every second."""
        while True:
            self.parts.link.tell(messages.REPORT, build_report(self.parts))
            await asyncio.sleep(REPORT_SECONDS)

    # Connections.

    def receive(self, descriptor: int, data: bytes) -> None:
        """Serve a connection that the primary has accepted."""
        self._received += 1
        self._entering += 1
        connection = socket.socket(fileno=descriptor)
        connection.setblocking(False)
        self._tell_open()
        self.parts.tasks.start(self._enter(connection))

    async def _enter(self, connection: socket.socket) -> None:
        endpoints, tls = self.parts.endpoints, self.parts.tls
        try:
            if tls is None:
                await asyncio.get_running_loop().connect_accepted_socket(self._endpoint, connection)
                return
            address = str(connection.getpeername()[0])
            TlsEntrance(endpoints, endpoints.public_kind, connection).enter(address, tls.context, self._endpoint)
        except OSError:
            connection.close()  # the peer has gone
            self._entering -= 1
            self._tell_open()

    def _count(self, peers: int) -> None:
        """Note how many endpoints there are: each new one has been on its way here before."""
        self._entering -= max(min(peers - self._peers, self._entering), 0)
        self._peers = peers
        self._tell_open()

    def _endpoint(self) -> Endpoint:
        return Endpoint(self.parts.endpoints, self.parts.endpoints.public_kind)

    def _tell_open(self) -> None:
        """Report how many connections are open, once in a turn of the loop."""
        if not self._is_open_due:
            self._is_open_due = True
            asyncio.get_running_loop().call_soon(self._tell_open_now)

    def _tell_open_now(self) -> None:
        self._is_open_due = False
        opened = Opened(self._received, len(self._gateway.peers) + self._entering)
        self.parts.link.tell(messages.OPENED, opened)

    # What the primary tells.

    def _note_news(self, news: ServiceNews) -> None:
        self._silent_seconds = 0
        self.parts.broker.update(news.epoch, news.generation)
        self.parts.service.note(news)

    def _evict(self, place: Place) -> None:
        self._gateway.evict_probe_client(place.tier)

    def _key_changed(self, changed: ChangedKey) -> Awaitable[Closed]:
        """Forget a key at once, in the order of messages; then close what it no longer allows."""
        authenticator = self.parts.authenticator
        authenticator.forget(changed.key_id)
        if changed.ending is not None:
            authenticator.end(changed.ending)
        return self._close_changed(changed)

    async def _close_changed(self, changed: ChangedKey) -> Closed:
        key_watch = self.parts.key_watch
        if changed.ended is not None:
            return Closed(await key_watch.end_as_told(changed.key_id, changed.ended))
        try:
            return Closed(await key_watch.key_changed(changed.key_id, seconds=changed.seconds))
        except StoreError:
            if changed.ending is None:
                raise
            return Closed(await key_watch.end_in_memory(changed.key_id))

    def _recheck(self, asked: Recheck) -> Awaitable[Nothing]:
        if asked.forgets:
            self.parts.authenticator.forget_all()
        return self._recheck_all()

    async def _recheck_all(self) -> Nothing:
        await self.parts.key_watch.recheck_all()
        return NOTHING

    async def _pause(self, _: Nothing) -> Nothing:
        await self._gateway.handshakes_done(SETTLE_SECONDS)
        self._gateway.pause_admission()
        return NOTHING

    def _resume(self, _: Nothing) -> None:
        self._gateway.resume_admission()

    def _leave(self, leave: Leave) -> Awaitable[Nothing]:
        self._gateway.is_draining = True
        if not leave.is_paced:
            self._skip_pacing.set()
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._drain(leave.first))
        return self._left(self._leaving)

    async def _drain(self, first: int) -> None:
        seconds = self.parts.config.values.server.close_timeout_seconds
        await drain(self._gateway, self._skip_pacing, close_timeout_seconds=seconds, first=first)

    @staticmethod
    async def _left(leaving: asyncio.Task[None]) -> Nothing:
        await asyncio.shield(leaving)
        return NOTHING

    async def _reload_tls(self, _: Nothing) -> Nothing:
        if self.parts.tls is not None:
            await asyncio.to_thread(self.parts.tls.reload)
        return NOTHING

    async def _reload(self, config: Config) -> Nothing:
        """Apply what can be changed without disconnecting anyone."""
        parts, before = self.parts, self.parts.config.values
        parts.admission.limits.update(tier_limits(config.tiers))
        parts.key_watch.recheck_seconds = config.auth.recheck_seconds
        parts.conversation.publishing = publishing_rules(config.publish, parts.catalogue)
        if (before.logging.level, before.logging.format) != (config.logging.level, config.logging.format):
            parts.configure_log(config.logging)
        if parts.tls is not None:
            await asyncio.to_thread(parts.tls.reload)
        parts.config.values = config
        parts.authenticator.forget_all()
        parts.tasks.start(parts.key_watch.recheck_all())
        return NOTHING


def name_this_process(number: int) -> None:
    """Let process lists show which worker this is."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"swim-worker-{number}", "ascii")
