"""The running service: the life of its process (startup, serve, shutdown), and the handover to the next one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.daemon import process
from swim_server.daemon.drain import MAX_SPREAD_SECONDS, drain
from swim_server.daemon.handover.channel import Offer
from swim_server.daemon.handover.predecessor import HandoverFailed, serve_successor
from swim_server.daemon.handover.restarter import Restarter
from swim_server.daemon.launch import Launch
from swim_server.daemon.metrics.figures import write_figures
from swim_server.daemon.nodes.joining import describe_node
from swim_server.daemon.notifier import status_line
from swim_server.daemon.rules import dialable_url, warn_of_clamped_events
from swim_server.daemon.upkeep.key_file import KeyFile
from swim_server.daemon.upkeep.upkeep import Upkeep
from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.recent import preload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swim_server.daemon.components import Components
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.daemon.handover.inherited import InheritedProcess
    from swim_server.daemon.handover.program import Program
    from swim_server.daemon.lockfile import Lockfile, LockInfo
    from swim_server.keys.records import KeyRecord
    from swim_server.protocol.events import Event

CLAIM_SECONDS = 5.0
"""A start waits no longer than this for the key database to be recognised as this installation's."""
SETTLE_SECONDS = 1.0
"""How long clients that have just connected may take to be admitted before another process takes over."""
FOLLOW_SECONDS = 20.0
"""How long the clients of the previous process are still counted after they were asked to move."""


class Service:
    """One daemon's process. ``run`` is its whole life."""

    def __init__(
        self,
        components: Components,
        lockfile: Lockfile,
        fingerprint: Fingerprint,
        *,
        inherited: InheritedProcess | None = None,
        launch: Launch | None = None,
    ) -> None:
        self.components = components
        self.lockfile = lockfile
        self.fingerprint = fingerprint
        self.launch = launch or Launch()
        self.inherited = inherited
        """What this process takes over from its predecessor; None if it has none."""
        self.home = components.home
        self.admission = components.admission
        self.log = components.log
        self.skip_pacing = asyncio.Event()
        """Set when clients need not be given time to leave one after the other."""
        server = components.config.values.server
        self._bound_to = (server.host, server.port)
        """The configured address of the listening sockets."""
        components.metrics.gather = lambda: write_figures(self)
        self._is_started = inherited is None
        """Whether this process is the only one, or its predecessor has given up lockfile and control socket."""
        self._key_file = KeyFile(components.store, components.key_watch, log=self.log)
        self._upkeep = Upkeep(
            self.home.control_socket, lockfile, components.listeners, components.log_stream,
            is_alone=self._has_home_alone, look_at_keys=self._key_file.look, log=self.log,
        )  # fmt: skip
        self._stop_requested = asyncio.Event()
        self._restarter = Restarter(self, components.notifier)
        self._follow_task: asyncio.Task[None] | None = None
        self.info = process.describe_this_process(
            fingerprint, components.config.files, format_ms(SYSTEM_CLOCK.now_ms())
        )

    # Life cycle.

    async def run(self, ready: Callable[[LockInfo], None]) -> None:
        """Start, report that clients can connect, serve until asked to stop, and stop in order."""
        try:
            await self._start()
            ready(self.info)
            self.components.notifier.ready(self.status_line())
            await self._serve()
        finally:
            await self._shut_down()

    async def _start(self) -> None:
        parts = self.components
        process.warn_of_root(self.log)
        process.prepare_descriptors(sum(each.connections for each in self.admission.limits.values()), self.log)
        if parts.worker_keeper is not None:
            parts.worker_keeper.spawn(self.fingerprint.digest)
        await parts.broker.open(self._deliver)
        parts.hub.begin_after(parts.broker.newest_id)
        with contextlib.suppress(BrokerUnavailable):  # then each client that resumes reads history
            await preload(parts.hub.recent, parts.broker)
        await parts.state_keeper.begin(parts.tasks)
        parts.tasks.start(self._learn_airports())
        claiming = parts.tasks.start(self._key_file.claim())
        parts.sources.build()
        await asyncio.wait({claiming}, timeout=CLAIM_SECONDS)
        if parts.worker_keeper is not None:
            await parts.worker_keeper.begin()
        left = await self._await_go()
        for tier, key_id in left:
            self.admission.reserve(tier, key_id)
        if parts.cluster is not None:
            parts.cluster.describe = lambda report: describe_node(report, self.info, parts)
            await parts.cluster.join(is_successor=self.inherited is not None)
        port = await self._listen()
        url = dialable_url(self._bound_to[0], port, is_tls=parts.tls is not None)
        self.info = msgspec.structs.replace(self.info, url=url, control=str(self.home.control_socket))
        self.lockfile.write(self.info)
        if self.inherited is not None:
            self._is_started = True
            self.inherited.say_serving(self.info)
            self._follow_task = parts.tasks.start(self.inherited.follow(self.admission, left))
        self._log_start()
        warn_of_clamped_events(parts.config.values.publish, self.log)

    async def _await_go(self) -> list[tuple[str, int]]:
        """Wait until the predecessor has handed over; return tier and key of each connection that it still has."""
        if self.inherited is None:
            return []
        mine = self.fingerprint
        return await self.inherited.await_go(
            version=mine.version, fingerprint=mine.digest, root=mine.roots.get("swimctl")
        )

    async def _learn_airports(self) -> None:
        """Load the known airports in the background, for hints about unknown ones."""
        from swim_server.sources.airports import load_airport_codes

        self.components.hub.hints.airports = await asyncio.to_thread(load_airport_codes)

    async def _listen(self) -> int:
        """Open the listeners, with the predecessor's sockets if they match the configuration."""
        server, listeners = self.components.config.values.server, self.components.listeners
        inherited = self.inherited.sockets(server.host, server.port) if self.inherited is not None else None
        if inherited is None:
            port = await listeners.listen(server.host, server.port)
        else:
            port = await listeners.adopt(inherited)
        await self._upkeep.listen_locally()
        return port

    def _log_start(self) -> None:
        info = self.info
        self.log.info(
            "serving",
            url=info.url,
            version=info.version,
            fingerprint=info.fingerprint,
            commit=info.commit,
            python=info.python,
            pid=info.pid,
            home=str(self.home.path),
        )

    def _deliver(self, events: Sequence[Event]) -> None:
        if self.components.workers is not None:
            self.components.workers.feed.deliver(events)
        self.components.hub.deliver(events)
        self.components.latency.delivered(events[-1].id.milliseconds)

    async def _serve(self) -> None:
        """Keep everything running until the stop is requested; if any of it fails, the service ends."""
        parts = self.components
        parts.sources.start()
        stop = asyncio.create_task(self._stop_requested.wait())
        running = [
            asyncio.create_task(work)
            for work in (
                *([parts.cluster.run()] if parts.cluster is not None else []),
                *([parts.worker_keeper.run()] if parts.worker_keeper is not None else []),
                parts.loop_lag.run(),
                parts.key_watch.run(),
                parts.authenticator.recorder.run(),
                parts.throughput.run(),
                parts.state_keeper.run(),
                parts.notifier.run(self.status_line),
                *([parts.tls.run()] if parts.tls is not None else []),
                self._upkeep.run(),
            )
        ]
        try:
            done, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
                raise AssertionError("none of these ends by itself")
            await self._restarter.cancel()
            self.log.info("handing over to the new process" if self._restarter.successor is not None else "stopping")
            await self._leave()
        finally:
            for task in (*running, stop):
                task.cancel()
            await asyncio.gather(*running, stop, return_exceptions=True)

    async def _leave(self) -> None:
        """Stop accepting and ask each client to reconnect; to the successor, if there is one."""
        parts = self.components
        parts.listeners.close()
        parts.gateway.is_draining = True
        if self._restarter.successor is None:
            parts.notifier.stopping()
            self.skip_pacing.set()
            await parts.sources.stop()
        else:
            parts.tasks.start(serve_successor(self, self._restarter.successor))
        seconds = parts.config.values.server.close_timeout_seconds
        leaving = [drain(parts.gateway, self.skip_pacing, close_timeout_seconds=seconds)]
        if parts.workers is not None:
            leaving.append(parts.workers.leave(self.skip_pacing, seconds=MAX_SPREAD_SECONDS + seconds))
        await asyncio.gather(*leaving)
        if self._restarter.successor is not None and self._follow_task is not None:
            await asyncio.wait([self._follow_task], timeout=FOLLOW_SECONDS)

    async def _shut_down(self) -> None:
        """Store what is pending and release all resources, in order."""
        parts = self.components
        parts.listeners.close()
        self._abort_own_clients()
        await parts.sources.stop()
        if self._has_home:
            try:
                self.home.remove_control_socket()
            except OSError as error:  # the disk has become read-only, say: everything else is still to be closed
                self.log.warning("the control socket can't be removed", reason=str(error))
        await parts.tasks.close()
        if parts.worker_keeper is not None:
            await parts.worker_keeper.close()
        await parts.state_keeper.save()
        if parts.cluster is not None:
            await parts.cluster.close(is_leaving=self._has_home)
        await parts.broker.close()
        await parts.authenticator.close()
        if self._restarter.successor is not None:
            await self._restarter.successor.close()
        self.lockfile.release(keep_lock=not self._has_home)
        if self.info.url is not None:
            self.log.info("stopped")

    def _abort_own_clients(self) -> None:
        for peer in list(self.components.gateway.peers):
            peer.abort()

    # Called from outside.

    def status_line(self) -> str:
        """Return the line shown by the service manager."""
        return status_line(
            self.info.url, self.components.gateway.clients(), self.components.throughput.events.per_second()
        )

    def request_stop(self) -> None:
        """Make ``run`` end; a second call ends it at once. Safe from a signal handler of the loop."""
        if self._stop_requested.is_set():
            self._abort_own_clients()
            if self.components.worker_keeper is not None:
                self.components.worker_keeper.abort()
        self._stop_requested.set()

    async def list_keys(self) -> list[KeyRecord]:
        """Read all keys as they are now, from the file that has the database's name now. Raises StoreError."""
        await self._key_file.look()
        return await self.components.authenticator.consult(self.components.store.list)

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Read a key again now; close the connections that it no longer allows, in a leaving process too."""
        await self._key_file.look()
        self.components.authenticator.forget(key_id)
        if self.inherited is not None:
            self.inherited.tell("key_changed", key_id=key_id)
        return await self.components.key_watch.key_changed(key_id, seconds=seconds)

    # Handing over to the code on disk.

    @property
    def _has_home(self) -> bool:
        """Whether lockfile and control socket are this process's, not its predecessor's or successor's."""
        return self._is_started and self._restarter.successor is None

    @property
    def is_stopping(self) -> bool:
        """Whether the service was asked to stop."""
        return self._stop_requested.is_set()

    def _has_home_alone(self) -> bool:
        """Tell whether no other process may write lockfile and control socket at the moment."""
        return self._has_home and not self._restarter.is_under_way and not self.is_stopping

    @property
    def is_handing_over(self) -> bool:
        """Whether this service's clients are in two processes at the moment."""
        if self._restarter.is_under_way or self._restarter.successor is not None:
            return True
        return self._follow_task is not None and not self._follow_task.done()

    def request_restart(self) -> None:
        """Restart on a signal; the result is logged."""
        self.components.tasks.start(self._restart_quietly())

    async def _restart_quietly(self) -> None:
        with contextlib.suppress(HandoverFailed):
            await self.restart()

    async def restart(self, wanted: Program | None = None) -> LockInfo:
        """Let the code on disk, or ``wanted``, take over; this process then leaves.

        Raises HandoverFailed with nothing changed; RestartRefused if a supervisor would take that for the end.
        """
        info = await self._restarter.restart(wanted)
        self._stop_requested.set()
        return info

    def offer(self, channel: int) -> Offer:
        """Return what a new process inherits: the descriptors of this channel, of the lock and of the listeners."""
        return Offer(
            channel=channel,
            lock=self.lockfile.fileno(),
            listeners=[each.fileno() for each in self.components.listeners.sockets],
            host=self._bound_to[0],
            port=self._bound_to[1],
        )

    async def begin_handover(self) -> None:
        """Pause admission and publishing while another process takes over; ``abort_handover`` undoes it.

        Clients that connect meanwhile wait in the listening socket's queue, for whichever process accepts next.
        """
        parts = self.components
        await parts.sources.stop()
        parts.listeners.pause()
        await parts.gateway.handshakes_done(SETTLE_SECONDS)
        parts.gateway.pause_admission()
        if parts.workers is not None:
            await parts.workers.pause()
        if parts.cluster is not None:
            parts.cluster.pause()

    async def abort_handover(self) -> None:
        """Resume serving: the other process did not take over. Idempotent."""
        parts = self.components
        self.lockfile.write(self.info)
        await self._upkeep.listen_locally()
        await parts.listeners.resume()
        if parts.cluster is not None:
            parts.cluster.resume()
        parts.gateway.resume_admission()
        if parts.workers is not None:
            parts.workers.resume()
        if not parts.sources.is_running:
            parts.sources.start()
