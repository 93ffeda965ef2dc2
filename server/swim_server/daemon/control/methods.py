"""The methods of the control socket: what ``swimctl`` can ask of the running daemon."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.concurrency.clock import SYSTEM_CLOCK, utc_now
from swim_server.config import ConfigError
from swim_server.config.database_identity import database_identity
from swim_server.daemon.control.connections import build_connections, close_connection
from swim_server.daemon.control.diagnostics import Diagnostics
from swim_server.daemon.control.documents.connections import Connections
from swim_server.daemon.control.documents.keys import ListedKeys
from swim_server.daemon.control.documents.process import ConnectionClosed, KeyChanged, KeyEnded, Restarted, Version
from swim_server.daemon.control.node_methods import NodeMethods, tell_nodes
from swim_server.daemon.control.service_explainer import ServiceExplainer
from swim_server.daemon.control.status import build_status
from swim_server.daemon.control.top import MAX_COUNT, build_top
from swim_server.daemon.handover.environment import differing
from swim_server.daemon.handover.predecessor import HandoverFailed
from swim_server.daemon.handover.program import Program
from swim_server.daemon.nodes.doctor_method import DoctorMethod
from swim_server.daemon.workers.adding import add_connections
from swim_server.gateway.http.ops.connection_table import OTHER_ROWS, ConnectionPage
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.keys.permissions import KeyState, state_of
from swim_server.keys.write_behind.endings import Ending
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swim_server.daemon.control.controlled import ControlledProcess
    from swim_server.daemon.control.documents.connections import Top
    from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained
    from swim_server.daemon.control.documents.process import ConfigChanges, Reloaded
    from swim_server.daemon.control.documents.status import Status
    from swim_server.daemon.control.reload import Reloader

RESTART_FAILED = -32001
"""The new process did not start serving: ``data`` has its exit code and the last lines of its log."""
MISSING = "missing"
ENDED = frozenset({MISSING, KeyState.REVOKED.value, KeyState.EXPIRED.value})
MAX_EVENTS = 1000
"""Maximum number of events in one ``publish``."""


class Methods:
    """Each method has the name by which it is called, and takes its params as a mapping."""

    def __init__(self, process: ControlledProcess, reloader: Reloader) -> None:
        self._process = process
        self._parts = process.components
        self._reloader = reloader
        self._explainer = ServiceExplainer(process.components)

    def register(self, rpc: Rpc) -> None:
        """Register the methods."""
        for name in (
            "status", "stop", "reload", "publish", "connections", "connection_close", "key_changed", "key_end",
            "live_keys", "keys", "config", "config_changes", "version", "restart", "explain", "top",
        ):  # fmt: skip
            rpc.methods[name] = getattr(self, name)
        if self._parts.workers is not None:
            rpc.methods[OTHER_ROWS] = self.connection_rows
        Diagnostics(self._process).register(rpc)
        NodeMethods(self._parts).register(rpc)
        DoctorMethod(self._parts).register(rpc)

    async def status(self, params: Mapping[str, object]) -> Status:
        """Describe the running service."""
        return await build_status(self._process)

    async def version(self, params: Mapping[str, object]) -> Version:
        """Return which code runs, as recorded at the start."""
        info, fingerprint = self._process.info, self._process.fingerprint
        return Version(
            version=info.version,
            fingerprint=info.fingerprint,
            commit=info.commit,
            python=info.python,
            files=dict(fingerprint.files),
            roots=dict(fingerprint.roots),
            dependencies=dict(fingerprint.dependencies),
            pid=info.pid,
        )

    async def stop(self, params: Mapping[str, object]) -> object:
        """Begin the graceful stop; the answer is sent before it ends."""
        self._process.request_stop()
        return {"stopping": True}

    async def restart(self, params: Mapping[str, object]) -> Restarted:
        """Let the code on disk, or the ``program`` given, take over; answers once it serves, or why it does not.

        ``environment`` has digests of the caller's variables: the answer names those that differ.
        """
        wanted, theirs = _read_restart(params)
        launch = self._process.launch
        changed = self._differing_environment(theirs)
        try:
            info = await self._process.restart(wanted)
        except HandoverFailed as failed:
            details = {"exit_code": failed.exit_code, "output": failed.output, "log": str(self._parts.home.log)}
            raise RpcError(RESTART_FAILED, str(failed), details) from None
        return Restarted(
            pid=info.pid,
            version=info.version,
            fingerprint=info.fingerprint,
            url=info.url,
            environment=changed,
            has_left_terminal=launch.has_terminal,
        )

    async def reload(self, params: Mapping[str, object]) -> Reloaded:
        """Read the configuration again; answers what has changed and what only a restart would change."""
        try:
            return await self._reloader.reload()
        except ConfigError as error:
            raise RpcError(INVALID_PARAMS, str(error), {"code": "INVALID_CONFIGURATION"}) from None

    async def config(self, params: Mapping[str, object]) -> object:
        """Return the configuration that this process runs with, secrets hidden."""
        return self._parts.config.document()

    async def config_changes(self, params: Mapping[str, object]) -> ConfigChanges:
        """Return what a reload and what a restart would change, according to the files now. Changes nothing.

        ``environment`` is as for ``restart``.
        """
        _, theirs = _read_restart(params)
        found = await self._reloader.changes()
        return msgspec.structs.replace(found, environment=self._differing_environment(theirs))

    def _differing_environment(self, theirs: Mapping[str, str] | None) -> dict[str, str | None]:
        supervisor = self._process.launch.supervisor
        return {} if theirs is None else differing(os.environ, theirs, is_supervised=supervisor is not None)

    async def publish(self, params: Mapping[str, object]) -> object:
        """Store events, all or nothing."""
        rows = params.get("events")
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_EVENTS:
            raise RpcError(INVALID_PARAMS, f"events must be a list of 1 to {MAX_EVENTS}")
        events = [self._read_event(index, row) for index, row in enumerate(rows)]
        try:
            published = await self._parts.broker.publish(events)
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        except InvalidEvent as error:
            details = {"index": error.index, "code": str(ErrorCode.INVALID_PUBLISH)}
            raise RpcError(INVALID_PARAMS, str(error), details) from None
        return {"published": [{"id": one.id, "duplicate": one.duplicate} for one in published]}

    def _read_event(self, index: int, row: object) -> NewEvent:
        try:
            return self._parts.conversation.check_event(_new_event(row))
        except (BadMessage, InvalidTimestamp, msgspec.ValidationError) as error:
            code = str(error.code) if isinstance(error, BadMessage) else "INVALID_PUBLISH"
            raise RpcError(INVALID_PARAMS, str(error), {"index": index, "code": code}) from None

    async def connections(self, params: Mapping[str, object]) -> Connections:
        """List the live connections, or those of a ``tier`` or ``key_id``."""
        found = build_connections(self._parts.hub, params.get("tier"), params.get("key_id"))
        if self._parts.workers is not None:
            found = add_connections(found, (await self._parts.workers.ask("connections", params, Connections))[0])
        return found

    async def connection_rows(self, params: Mapping[str, object]) -> list[ConnectionPage]:
        """Return the first rows of the operator's table in each worker."""
        assert self._parts.workers is not None, "else it is not registered"
        return (await self._parts.workers.ask(OTHER_ROWS, params, ConnectionPage))[0]

    async def connection_close(self, params: Mapping[str, object]) -> ConnectionClosed:
        """Ask one client to reconnect and resume."""
        found = close_connection(self._parts.hub, params.get("id"))
        if found.closed or self._parts.workers is None:
            return found
        others, _ = await self._parts.workers.ask("connection_close", params, ConnectionClosed)
        return ConnectionClosed(closed=any(each.closed for each in others))

    async def explain(self, params: Mapping[str, object]) -> EventExplained | ChannelExplained:
        """Explain why a consumer got an event or didn't, or what a subscription would have received recently."""
        return await self._explainer.explain(params)

    async def top(self, params: Mapping[str, object]) -> Top:
        """Describe one second, which it takes to measure: status, the busiest connections, channels and types."""
        count = params.get("count", 10)
        if type(count) is not int or not 0 < count <= MAX_COUNT:
            raise RpcError(INVALID_PARAMS, f"count must be a whole number from 1 to {MAX_COUNT}")
        return await build_top(self._process, count)

    async def live_keys(self, params: Mapping[str, object]) -> dict[str, int]:
        """Count the connections of each key."""
        return {str(key_id): count for key_id, count in self._parts.admission.by_key().items()}

    async def keys(self, params: Mapping[str, object]) -> ListedKeys:
        """List all keys and their live connections, if ``database`` is the identity of the database that is read here.

        Never a key, nor a digest of one.
        """
        config, home = self._parts.config.values, self._parts.home
        if params.get("database") != database_identity(config.database, home.database):
            return ListedKeys()
        try:
            records = await self._process.list_keys()
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        return ListedKeys(
            is_same_database=True,
            keys=[msgspec.structs.replace(record, fingerprint=None) for record in records],
            live=await self.live_keys({}),
        )

    async def key_changed(self, params: Mapping[str, object]) -> KeyChanged:
        """Read a key again that was changed ``seconds`` ago; answers how many connections were closed for it."""
        key_id, seconds = params.get("key_id"), params.get("seconds", 0)
        if not isinstance(key_id, int):
            raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
        if not isinstance(seconds, int | float):
            raise RpcError(INVALID_PARAMS, "seconds must be a number")
        try:
            record = (await self._parts.authenticator.look_up([key_id])).get(key_id)
            state = MISSING if record is None else state_of(record, utc_now(SYSTEM_CLOCK)).value
            ended = state if state in ENDED else None
            telling = asyncio.create_task(tell_nodes(self._parts.cluster, key_id, ended=ended))
            try:
                closed = await self._process.key_changed(key_id, seconds=seconds)
            finally:
                told = await telling  # the other nodes hear of it whatever happens here
            return KeyChanged(
                closed=closed + told.closed, state=state, silent_nodes=[*told.silent, *self._silent_workers()]
            )
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None

    async def key_end(self, params: Mapping[str, object]) -> KeyEnded:
        """Revoke or expire a key that the database can't change at the moment: now in memory, later in the database."""
        try:
            ending = msgspec.convert(params, Ending)
        except msgspec.ValidationError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        is_stored = await self._parts.authenticator.recorder.end(ending)
        try:
            closed = await self._process.key_changed(ending.key_id, seconds=0.0)
        except StoreError:
            closed = await self._parts.key_watch.end_in_memory(ending.key_id, ending)
        told = await tell_nodes(self._parts.cluster, ending.key_id, ending)
        silent = [*told.silent, *self._silent_workers()]
        return KeyEnded(is_stored=is_stored, closed=closed + told.closed, silent_nodes=silent)

    def _silent_workers(self) -> list[str]:
        """Return the workers that have not confirmed the last change of a key."""
        return self._parts.workers.silent if self._parts.workers is not None else []


def _read_restart(params: Mapping[str, object]) -> tuple[Program | None, dict[str, str] | None]:
    try:
        return (
            msgspec.convert(params.get("program"), Program | None),
            msgspec.convert(params.get("environment"), dict[str, str] | None),
        )
    except msgspec.ValidationError as error:
        raise RpcError(INVALID_PARAMS, f"program or environment: {error}") from None


class _EventRow(msgspec.Struct):
    """One event as it is passed to the control socket."""

    type: str
    data: dict[str, Any]
    timestamp: str | None = None
    event_id: str | None = None


def _new_event(row: object) -> NewEvent:
    event = msgspec.convert(row, _EventRow)
    timestamp_ms = parse_ms(event.timestamp) if event.timestamp is not None else None
    return NewEvent(type=event.type, data=event.data, timestamp_ms=timestamp_ms, event_id=event.event_id)
