"""The running service: builds the rooms, wires them, and tells the story of the process: startup, serve, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from swim_server import __version__
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.local import LocalBroker
from swim_server.concurrency.tasks import Tasks
from swim_server.concurrency.timer_wheel import TimerWheel
from swim_server.config import Config, ConfigError, LoadedConfig, PublishConfig, TiersConfig, parse_duration
from swim_server.daemon import process
from swim_server.daemon.control.methods import Methods
from swim_server.daemon.drain import drain
from swim_server.daemon.fingerprint import Fingerprint
from swim_server.daemon.handover import Channel, HandoverFailed, InheritedProcess, hand_over, serve_successor
from swim_server.daemon.home import Home
from swim_server.daemon.key_watch import KeyWatch
from swim_server.daemon.latency import Latency
from swim_server.daemon.lockfile import Lockfile, LockInfo
from swim_server.daemon.log_stream import LogStream
from swim_server.daemon.loop_lag import LoopLagMonitor, Rate
from swim_server.daemon.notifier import Notifier, status_line
from swim_server.daemon.process import needed_descriptors, raise_descriptor_limit
from swim_server.daemon.sources import build_sources
from swim_server.gateway.context import build_context
from swim_server.gateway.endpoint import Endpoint
from swim_server.gateway.listeners import Listeners
from swim_server.gateway.request import DEFAULT_PATH
from swim_server.gateway.rpc import Rpc
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.format import Tier
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.source import Source, SourceStatus
from swim_server.sources.supervisor import Supervisor
from swim_server.streaming.admission import Admission, TierLimit
from swim_server.streaming.conversation import Conversation
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.hub import Hub
from swim_server.streaming.publishing import Publishing
from swim_server.streaming.recent import preload

SETTLE_SECONDS = 1.0
"""So long clients that have just connected may take until they are let in, before another process takes over."""
FOLLOW_SECONDS = 20.0
"""So long this process, when its clients have moved on, counts those that the one before it may still have."""


class Service:
    """Everything that runs in one daemon. Built with its settings; ``run`` is its whole life."""

    def __init__(
        self,
        loaded: LoadedConfig,
        home: Home,
        lockfile: Lockfile,
        fingerprint: Fingerprint,
        *,
        reload_config: Callable[[], LoadedConfig] | None = None,
        inherited: InheritedProcess | None = None,
        log_stream: LogStream | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.log_stream = log_stream
        """Where this process logs; None: standard error."""
        self.notifier = notifier or Notifier(None)
        self.inherited = inherited
        """What this process takes over from the one before; None when it starts by itself."""
        self.bound_to = (loaded.config.server.host, loaded.config.server.port)
        """The configured address of the listening sockets."""
        self.skip_pacing = asyncio.Event()
        """Set when clients needn't be given time to leave one after the other."""
        self._has_home = inherited is None
        """The lockfile and the control socket are this process's, not those of one before or behind it."""
        self._successor: Channel | None = None
        self._handover_task: asyncio.Task[tuple[LockInfo, Channel]] | None = None
        self._follow_task: asyncio.Task[None] | None = None
        self.config: Config = loaded.config
        self.config_files: tuple[Path, ...] = loaded.files
        self.home = home
        self.lockfile = lockfile
        self.fingerprint = fingerprint
        self.log = get_logger("daemon")
        self.event_rate = Rate()
        self.delivery_rate = Rate()
        self._reload_config = reload_config
        self._stop_requested = asyncio.Event()
        self._process = psutil.Process()
        self.supervisor: Supervisor | None = None
        self._sources_task: asyncio.Task[None] | None = None
        self._built_sources: list[Source] | None = None
        """Built before anything depends on it: what can't be built ends a start, not a service."""
        self.is_wired = False
        """The rooms that need the broker's place in the order of events are built."""
        self.info = LockInfo(
            pid=os.getpid(),
            process_started=process.started_at(os.getpid()) or 0.0,
            boot_id=process.boot_id(),
            host=socket.gethostname(),
            started_at=format_ms(_now_ms()),
            version=__version__,
            fingerprint=fingerprint.digest,
            commit=fingerprint.commit,
            python=fingerprint.python,
            config_file=str(loaded.files[0]) if loaded.files else None,
        )
        self._build()

    def _build(self) -> None:
        config = self.config
        self.catalogue = Catalogue(config.channels.families)
        self.tasks = Tasks(self._on_failure)
        self.wheel = TimerWheel(time.monotonic, on_failure=self._on_failure)
        self.pulse = LoopLagMonitor(self.wheel)
        self.admission = Admission(tier_limits(config.tiers))
        self.broker = LocalBroker(
            self.home.history,
            clock_ms=_now_ms,
            keep_ms=_milliseconds(config.history.keep),
            keep_positions_ms=_milliseconds(config.history.keep_positions),
            max_bytes=config.history.max_bytes,
            synchronous=config.history.synchronous,
        )
        self.store = KeyStore(
            open_database(config.database, self.home.database), clock=_utc_now, randbytes=secrets.token_bytes
        )
        self.authenticator = Authenticator(
            self.store,
            clock=_utc_now,
            cache_seconds=config.auth.cache_seconds,
            negative_cache_seconds=config.auth.negative_cache_seconds,
            stale_grace_seconds=config.auth.stale_grace_seconds,
        )

    def _wire(self) -> None:
        """Build what needs the broker's place in the order of events."""
        config, loop = self.config, asyncio.get_running_loop()
        self.hub = Hub(
            self.catalogue,
            newest_id=self.broker.newest_id,
            call_soon=loop.call_soon,
            monotonic=time.monotonic,
            on_failure=self._on_failure,
            session_log=SessionLog(_now_ms),
        )
        self.latency = Latency(
            self.hub, now_ms=lambda: time.time() * 1000, monotonic=time.monotonic, call_soon=loop.call_soon
        )
        self.conversation = Conversation(
            self.hub,
            self.broker,
            self.catalogue,
            self.tasks,
            now_ms=_now_ms,
            monotonic=time.monotonic,
            heartbeat_seconds=config.server.heartbeat_seconds,
            publishing=publishing_rules(config.publish, self.catalogue),
            max_waiting_bytes=config.server.max_waiting_bytes,
        )
        self.rpc = Rpc(self._on_failure)
        Methods(self).register(self.rpc)
        self.endpoints = build_context(
            config.server,
            hub=self.hub,
            admission=self.admission,
            authenticator=self.authenticator,
            conversation=self.conversation,
            wheel=self.wheel,
            tasks=self.tasks,
            rpc=self.rpc,
            source_ages=self._source_ages,
            call_soon=loop.call_soon,
            monotonic=time.monotonic,
            now_ms=_now_ms,
            log=get_logger("gateway"),
        )
        self.gateway = self.endpoints.gateway
        self.key_watch = KeyWatch(
            self.gateway, self.authenticator, recheck_seconds=config.auth.recheck_seconds, log=get_logger("keys")
        )
        self.listeners = Listeners(
            lambda: Endpoint(self.endpoints, self.endpoints.public_kind),
            lambda: Endpoint(self.endpoints, self.endpoints.local_kind),
        )
        self.is_wired = True

    # The story.

    async def run(self, ready: Callable[[LockInfo], None]) -> None:
        """Start, say that clients can connect, serve until asked to stop, and stop in order."""
        try:
            await self._start()
            ready(self.info)
            self.notifier.ready(self.status_line())
            await self._serve()
        finally:
            await self._shut_down()

    async def _start(self) -> None:
        self._check_descriptors()
        await self.broker.open(self._deliver)
        self._wire()
        with contextlib.suppress(BrokerUnavailable):  # then the clients that resume look into history, each for itself
            await preload(self.hub.recent, self.broker)
        self._built_sources = build_sources(self.config, self.home, self.catalogue)
        left = await self.inherited.await_go() if self.inherited is not None else []
        for tier, key_id in left:
            self.admission.reserve(tier, key_id)
        port = await self._listen()
        self.info = msgspec.structs.replace(
            self.info, url=dialable_url(self.config.server.host, port), control=str(self.home.control_socket)
        )
        self.lockfile.write(self.info)
        if self.inherited is not None:
            self._has_home = True
            self.inherited.say_serving(self.info)
            self._follow_task = self.tasks.start(self.inherited.follow(self.admission, left))
        self.log.info(
            "serving",
            url=self.info.url,
            version=__version__,
            fingerprint=self.info.fingerprint,
            commit=self.info.commit,
            python=self.info.python,
            pid=self.info.pid,
            home=str(self.home.path),
        )

    async def _listen(self) -> int:
        """Open the doors: with the sockets of the process before, if they still are what is configured."""
        server = self.config.server
        inherited = self.inherited.sockets(server.host, server.port) if self.inherited is not None else None
        if inherited is None:
            port = await self.listeners.listen(server.host, server.port)
        else:
            port = await self.listeners.adopt(inherited)
        await self.listeners.listen_locally(self.home.control_socket)
        self.bound_to = (server.host, port)
        return port

    def _deliver(self, events: Any) -> None:
        self.hub.deliver(events)
        self.latency.delivered(events[-1].id.milliseconds)

    async def _serve(self) -> None:
        """Keep everything running until the stop is requested; a failure of one of these ends the service."""
        self.start_sources()
        stop = asyncio.create_task(self._stop_requested.wait())
        running = [
            asyncio.create_task(work)
            for work in (
                self.pulse.run(),
                self.key_watch.run(),
                self.authenticator.run(),
                self._sample_rates(),
                self.notifier.run(self.status_line),
            )
        ]
        try:
            done, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()
                raise AssertionError("none of these ends by itself")
            await self._end_handover()
            self.log.info("leaving" if self._successor is not None else "stopping")
            await self._leave()
        finally:
            for task in (*running, stop):
                task.cancel()
            await asyncio.gather(*running, stop, return_exceptions=True)

    async def _leave(self) -> None:
        """Accept nobody any more and ask each client to come back; to the process that follows, if there is one."""
        self.listeners.close()
        self.gateway.is_draining = True
        if self._successor is None:
            self.notifier.stopping()
            self.skip_pacing.set()
            await self.stop_sources()
        else:
            self.tasks.start(serve_successor(self, self._successor))
        await drain(self.gateway, self.skip_pacing, close_timeout_seconds=self.config.server.close_timeout_seconds)
        if self._successor is not None and self._follow_task is not None:
            await asyncio.wait([self._follow_task], timeout=FOLLOW_SECONDS)

    async def begin_handover(self) -> None:
        """Admit nobody and publish nothing while another process takes over; ``abort_handover`` undoes it.

        Clients that come meanwhile wait in the listening socket's queue, for whichever process accepts next.
        """
        await self.stop_sources()
        self.listeners.pause()
        await self.gateway.handshakes_done(SETTLE_SECONDS)
        self.gateway.pause_admission()

    async def abort_handover(self) -> None:
        """Serve as before: the other process did not take over. Idempotent."""
        self.lockfile.write(self.info)
        await self.listeners.listen_locally(self.home.control_socket)
        await self.listeners.resume()
        self.gateway.resume_admission()
        if self._sources_task is None:
            self.start_sources()

    def start_sources(self) -> None:
        """Let the sources of the configuration publish."""
        sources, self._built_sources = self._built_sources, None
        if sources is None:
            sources = build_sources(self.config, self.home, self.catalogue)
        self.supervisor = Supervisor(sources, self.broker.publish, get_logger("sources"))
        self._sources_task = self.tasks.start(self.supervisor.run())

    async def stop_sources(self) -> None:
        """Let every source come to rest; what it took from its input is published or still there. Idempotent."""
        task, self._sources_task = self._sources_task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def replace_sources(self, config: Config) -> None:
        """Go on with the sources of another configuration; those that stay as they are begin anew where they were."""
        self._built_sources = build_sources(config, self.home, self.catalogue)
        await self.stop_sources()
        self.config = msgspec.structs.replace(
            self.config, sources=config.sources, adl=config.adl, detection=config.detection
        )
        self.start_sources()

    async def _shut_down(self) -> None:
        """Store what is pending and let go of everything, in order."""
        if self.is_wired:
            self.listeners.close()
            for endpoint in list(self.gateway.peers):
                endpoint.abort()
            await self.stop_sources()
            if self._has_home:
                self.home.remove_control_socket()
        await self.tasks.close()
        await self.broker.close()
        await self.authenticator.close()
        if self._successor is not None:
            await self._successor.close()
        self.lockfile.release(keep_lock=not self._has_home)
        if self.info.url is not None:
            self.log.info("stopped")

    # What others ask of it.

    def request_stop(self) -> None:
        """Let ``run`` come to its end, the second time at once. Safe from a signal handler of the loop."""
        if self._stop_requested.is_set() and self.is_wired:
            for endpoint in list(self.gateway.peers):
                endpoint.abort()
        self._stop_requested.set()

    async def restart(self) -> LockInfo:
        """Let the code on disk take over; this process then leaves. Raises HandoverFailed, with nothing changed."""
        if self._handover_task is not None or self._stop_requested.is_set():
            raise HandoverFailed("is not started: a restart or stop is under way", None, [])
        self.log.info("starting the code on disk beside this process")
        self.notifier.reloading("restarting: the code on disk is to take over")
        self._handover_task = asyncio.create_task(hand_over(self), name="handover")
        await asyncio.wait([self._handover_task])
        task, self._handover_task = self._handover_task, None
        try:
            info, self._successor = task.result()
            self._has_home = False
            self.notifier.succeeded_by(info.pid)
        except HandoverFailed as failed:
            self.notifier.ready(f"{self.status_line()}; a restart failed")
            self.log.error("restart failed; this process goes on", reason=failed.reason, output=failed.output)
            raise
        except asyncio.CancelledError:
            raise HandoverFailed("was stopped: so is the service", None, []) from None
        self._stop_requested.set()
        return info

    async def _end_handover(self) -> None:
        """A stop in the middle of a restart ends the new process too."""
        task = self._handover_task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:  # it had just taken over
                self._successor = task.result()[1]
                self._has_home = False

    def request_restart(self) -> None:
        """Restart, for those who can only signal; how it went stands in the log."""
        self.tasks.start(self._restart_quietly())

    async def _restart_quietly(self) -> None:
        with contextlib.suppress(HandoverFailed):
            await self.restart()

    async def reload(self) -> dict[str, Any]:
        """Read the configuration again and apply what can be applied to a living service."""
        from swim_server.daemon.control.reload import apply

        if self._reload_config is None:
            return {"changed": [], "needs_restart": []}
        self.notifier.reloading("reading the configuration again")
        try:
            loaded = await asyncio.to_thread(self._reload_config)
            self.tasks.start(self.key_watch.recheck_all())  # who asks for a fresh look means the keys too
            return await apply(self, loaded)
        finally:
            self.notifier.ready(self.status_line())

    async def config_changes(self) -> dict[str, Any]:
        """What a reload or a restart would change."""
        from swim_server.daemon.control.reload import pending

        if self._reload_config is None:
            return {"reload": {}, "restart": {}}
        try:
            loaded = await asyncio.to_thread(self._reload_config)
        except ConfigError as error:
            return {"reload": {}, "restart": {}, "problem": str(error)}
        return pending(self.config, loaded.config)

    def request_reload(self) -> None:
        """Reload, for those who can only signal; how it went stands in the log."""
        self.tasks.start(self._reload_quietly())

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except ConfigError as error:
            self.log.error("configuration not read: nothing is changed", reason=str(error))

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Read a key again, now; close what it no longer holds open, also in a process that has yet to leave."""
        self.authenticator.forget(key_id)
        if self.inherited is not None:
            self.inherited.tell("key_changed", key_id=key_id)
        return await self.key_watch.key_changed(key_id, seconds=seconds)

    @property
    def is_handing_over(self) -> bool:
        """Two processes have this service's clients just now."""
        follow = self._follow_task
        return (
            self._handover_task is not None or self._successor is not None or (follow is not None and not follow.done())
        )

    def status_line(self) -> str:
        """What the service manager shows."""
        return status_line(self.info.url, self.gateway.clients(), self.event_rate.per_second())

    def source_statuses(self) -> list[SourceStatus]:
        """Every source's own account of itself."""
        return list(self.supervisor.statuses()) if self.supervisor is not None else []

    def _source_ages(self) -> dict[str, float | None]:
        from swim_server.daemon.control.status import age

        return {status.name: age(status.last_event_monotonic) for status in self.source_statuses()}

    def memory_bytes(self) -> int:
        """Resident memory of this process."""
        return int(self._process.memory_info().rss)

    def config_document(self) -> dict[str, Any]:
        """The configuration this process runs, secrets removed."""
        from swim_server.config.secrets import without_secrets

        document: dict[str, Any] = without_secrets(msgspec.to_builtins(self.config))
        return document

    def _check_descriptors(self) -> None:
        limit = raise_descriptor_limit()
        needed = needed_descriptors(sum(each.connections for each in self.admission.limits.values()))
        if limit < needed:
            self.log.warning(
                "too few file descriptors for full tiers: raise the limit (systemd: LimitNOFILE=)",
                limit=limit,
                needed=needed,
            )

    async def _sample_rates(self) -> None:
        while True:
            now = time.monotonic()
            self.event_rate.sample(now, self.hub.events_delivered)
            self.delivery_rate.sample(now, self.hub.deliveries)
            await asyncio.sleep(1)

    def _on_failure(self, error: BaseException) -> None:
        self.log.error("a task failed", exc_info=error)


def publishing_rules(config: PublishConfig, catalogue: Catalogue) -> Publishing:
    """The rules of ``[publish]``."""
    return Publishing(
        catalogue,
        events_per_second=config.events_per_second,
        max_event_bytes=min(config.max_event_bytes, MAX_MESSAGE_BYTES),
        channels_by_key={int(key_id): key.channels for key_id, key in config.keys.items() if key.channels},
    )


def tier_limits(tiers: TiersConfig) -> dict[str, TierLimit]:
    """The limits by tier name."""
    return {
        str(tier): TierLimit(
            connections=(config := getattr(tiers, tier.value)).connections,
            connections_per_key=config.connections_per_key,
            messages_per_second=config.messages_per_second,
        )
        for tier in Tier
    }


def dialable_url(host: str, port: int) -> str:
    """The address at which this machine reaches a service bound to ``host``."""
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"ws://{f'[{host}]' if ':' in host else host}:{port}{DEFAULT_PATH}"


def _milliseconds(duration: str) -> int:
    return int(parse_duration(duration) * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _utc_now() -> datetime:
    return datetime.now(UTC)
