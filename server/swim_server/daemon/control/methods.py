"""The methods of the control socket: what ``swimctl`` may ask of the running daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.config import ConfigError
from swim_server.daemon.control.diagnostics import Diagnostics
from swim_server.daemon.control.explain import Explainer
from swim_server.daemon.control.status import connections_document, status_document
from swim_server.daemon.control.top import MAX_COUNT, top_document
from swim_server.daemon.handover import HandoverFailed
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.protocol.codes import BadMessage, CloseCode, ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from swim_server.daemon.service import Service

RESTART_FAILED = -32001
"""The new process did not come to serve: ``data`` has its exit code and the log's last lines."""
MAX_EVENTS = 1000
"""Events in one ``publish``."""


class Methods:
    """Each method is called as it is named, with its params as a mapping."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._explainer = Explainer(service)

    def register(self, rpc: Rpc) -> None:
        """Make them answer."""
        for name in (
            "status", "stop", "reload", "publish", "connections", "connection_close", "key_changed", "live_keys",
            "config", "config_changes", "version", "restart", "explain", "top",
        ):  # fmt: skip
            rpc.methods[name] = getattr(self, name)
        Diagnostics(self._service).register(rpc)

    async def status(self, params: Mapping[str, Any]) -> Any:
        """The status document."""
        return await status_document(self._service)

    async def version(self, params: Mapping[str, Any]) -> Any:
        """What code runs: taken at start, never read again."""
        info = self._service.info
        return {
            "version": info.version,
            "fingerprint": info.fingerprint,
            "commit": info.commit,
            "python": info.python,
            "files": dict(self._service.fingerprint.files),
            "roots": dict(self._service.fingerprint.roots),
            "dependencies": dict(self._service.fingerprint.dependencies),
            "pid": info.pid,
        }

    async def stop(self, params: Mapping[str, Any]) -> Any:
        """Begin the graceful stop; the answer comes before its end."""
        self._service.request_stop()
        return {"stopping": True}

    async def restart(self, params: Mapping[str, Any]) -> Any:
        """Let the code on disk take over; answers once it serves, or says why it does not."""
        try:
            info = await self._service.restart()
        except HandoverFailed as failed:
            details = {"exit_code": failed.exit_code, "output": failed.output, "log": str(self._service.home.log)}
            raise RpcError(RESTART_FAILED, str(failed), details) from None
        return {"pid": info.pid, "version": info.version, "fingerprint": info.fingerprint, "url": info.url}

    async def reload(self, params: Mapping[str, Any]) -> Any:
        """Read the configuration again; answers what has changed and what only a restart would change."""
        try:
            return await self._service.reload()
        except ConfigError as error:
            raise RpcError(INVALID_PARAMS, str(error), {"code": "INVALID_CONFIGURATION"}) from None

    async def config(self, params: Mapping[str, Any]) -> Any:
        """The configuration that this process runs, secrets removed."""
        return self._service.config_document()

    async def config_changes(self, params: Mapping[str, Any]) -> Any:
        """What a reload and what a restart would change, by the files as they are now. Changes nothing."""
        return await self._service.config_changes()

    async def publish(self, params: Mapping[str, Any]) -> Any:
        """Store events, all or nothing."""
        rows = params.get("events")
        if not isinstance(rows, list) or not 0 < len(rows) <= MAX_EVENTS:
            raise RpcError(INVALID_PARAMS, f"events must be a list of 1 to {MAX_EVENTS}")
        events = [self._read_event(index, row) for index, row in enumerate(rows)]
        try:
            published = await self._service.broker.publish(events)
        except BrokerUnavailable as error:
            raise RpcError(UNAVAILABLE, str(error)) from None
        except InvalidEvent as error:
            details = {"index": error.index, "code": str(ErrorCode.INVALID_PUBLISH)}
            raise RpcError(INVALID_PARAMS, str(error), details) from None
        return {"published": [{"id": one.id, "duplicate": one.duplicate} for one in published]}

    def _read_event(self, index: int, row: Any) -> NewEvent:
        try:
            return self._service.conversation.check_event(_new_event(row))
        except (BadMessage, InvalidTimestamp, msgspec.ValidationError) as error:
            code = str(error.code) if isinstance(error, BadMessage) else "INVALID_PUBLISH"
            raise RpcError(INVALID_PARAMS, str(error), {"index": index, "code": code}) from None

    async def connections(self, params: Mapping[str, Any]) -> Any:
        """The live connections."""
        tier, key_id = params.get("tier"), params.get("key_id")
        return {"connections": connections_document(self._service, tier, key_id)}

    async def connection_close(self, params: Mapping[str, Any]) -> Any:
        """Ask one client to come back: it reconnects and resumes."""
        connection = self._service.hub.connections.get(str(params.get("id")))
        if connection is None:
            return {"closed": False}
        connection.transport.close(CloseCode.SERVICE_RESTART, "closed by the operator; retry_ms=1000")
        return {"closed": True}

    async def explain(self, params: Mapping[str, Any]) -> Any:
        """Say why a consumer got an event or didn't; or what a subscription would have been sent lately."""
        return await self._explainer.explain(params)

    async def top(self, params: Mapping[str, Any]) -> Any:
        """Status, and the busiest connections, channels and types of the second that it takes to look."""
        count = params.get("count", 10)
        if type(count) is not int or not 0 < count <= MAX_COUNT:
            raise RpcError(INVALID_PARAMS, f"count must be a whole number from 1 to {MAX_COUNT}")
        return await top_document(self._service, count)

    async def live_keys(self, params: Mapping[str, Any]) -> Any:
        """How many connections each key has."""
        return {str(key_id): count for key_id, count in self._service.admission.by_key().items()}

    async def key_changed(self, params: Mapping[str, Any]) -> Any:
        """Read a key again that was changed so many ``seconds`` ago; answers how many connections that has closed."""
        key_id, seconds = params.get("key_id"), params.get("seconds", 0)
        if not isinstance(key_id, int):
            raise RpcError(INVALID_PARAMS, "key_id must be a whole number")
        if not isinstance(seconds, int | float):
            raise RpcError(INVALID_PARAMS, "seconds must be a number")
        try:
            return {"closed": await self._service.key_changed(key_id, seconds=seconds)}
        except StoreError as error:
            raise RpcError(UNAVAILABLE, str(error)) from None


class _EventRow(msgspec.Struct):
    """One event as the control socket is given it."""

    type: str
    data: dict[str, Any]
    timestamp: str | None = None
    event_id: str | None = None


def _new_event(row: Any) -> NewEvent:
    event = msgspec.convert(row, _EventRow)
    timestamp_ms = parse_ms(event.timestamp) if event.timestamp is not None else None
    return NewEvent(type=event.type, data=event.data, timestamp_ms=timestamp_ms, event_id=event.event_id)
