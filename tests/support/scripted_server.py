"""A small real SWIM server under the test's control: a history, live events, and any close a client may meet."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

if TYPE_CHECKING:
    from typing import Self


def id_order(event_id: str) -> tuple[int, int]:
    """Return the sort key of event ids."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


class ScriptedConnection:
    """One client, as the server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []
        """What the client sent, in order."""
        self.channels: set[str] = set()
        self.closed = asyncio.Event()
        self._news = asyncio.Event()

    def note(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        self._news.set()

    async def sent(self, action: str, count: int = 1) -> dict[str, Any]:
        """Wait until the client has sent this action this many times; return the last message."""
        while True:
            found = [message for message in self.received if message.get("action") == action]
            if len(found) >= count:
                return found[count - 1]
            self._news.clear()
            await self._news.wait()

    async def send(self, message: dict[str, Any]) -> None:
        """Send any message."""
        await self.socket.send(json.dumps(message))

    async def close(self, code: int, reason: str = "") -> None:
        """Close with any code."""
        await self.socket.close(code, reason)

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self.socket.transport.abort()

    def wants(self, event_type: str) -> bool:
        return any(
            channel in ("*", event_type) or (channel.endswith(".*") and event_type.startswith(channel[:-1]))
            for channel in self.channels
        )


class ScriptedServer:
    """Switches are plain attributes; change them at any moment."""

    def __init__(self) -> None:
        self.resumes = True
        """False: the former server, without resume and without event ids."""
        self.refusals: deque[tuple[str, int, str]] = deque()
        """(error code, close code, close reason) for the next connections, in place of the greeting."""
        self.http_refusals: deque[tuple[int, dict[str, str]]] = deque()
        """(status, headers) for the next upgrades."""
        self.greets = True
        self.answers: set[str] = {"subscribe", "unsubscribe", "ping", "status", "publish"}
        """Actions that are answered."""
        self.unknown_channels: set[str] = set()
        self.forgets_before: str | None = None
        """History reaches back to this id, and no further."""
        self.unknown_ids: set[str] = set()
        """Ids for which ``after`` is answered with HISTORY_UNAVAILABLE."""
        self.rate_limited = 0
        """So many of the next messages are refused with RATE_LIMITED."""
        self.history: list[dict[str, Any]] = []
        self.connections: list[ScriptedConnection] = []
        self.headers: list[Headers] = []
        self.paths: list[str] = []
        self.attempts: list[float] = []
        """When each upgrade was asked for, refused ones too."""
        self.published: dict[str, str] = {}
        self.before_ack: Callable[[ScriptedConnection], None] | None = None
        self.url = ""
        self._news = asyncio.Event()
        self._order = asyncio.Lock()
        """Held while events are sent, so that no live one overtakes one from history."""
        self._next = 1000

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self, port: int = 0) -> None:
        """Listen on the given port, or any."""
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port,
            process_request=self._process_request,
            ping_interval=None,
            close_timeout=1,
            compression=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/api/swim/v1/ws"

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self, code: int = 1012, reason: str = "") -> None:
        """Close every connection and stop listening."""
        self._server.close(close_connections=False)
        for connection in self.connections:
            await connection.close(code, reason)
        await self._server.wait_closed()

    async def connection(self, number: int) -> ScriptedConnection:
        """Wait for the connection of this number, counted from 0."""
        while len(self.connections) <= number:
            self._news.clear()
            await self._news.wait()
        return self.connections[number]

    def make_event(self, event_type: str = "flight.departed", **data: Any) -> dict[str, Any]:
        """Store an event as the next in history, and return its message. It is sent to nobody."""
        self._next += 1
        event = {"type": event_type, "timestamp": "2026-01-16T14:30:15.123Z", "data": data}
        if self.resumes:
            event["id"] = f"{self._next}-0"
        self.history.append(event)
        return event

    async def publish(self, event_type: str = "flight.departed", **data: Any) -> dict[str, Any]:
        """Store an event and send it to every subscribed connection."""
        async with self._order:
            event = self.make_event(event_type, **data)
            for connection in self.connections:
                if connection.wants(event_type):
                    with suppress(ConnectionClosed):
                        await connection.send(event)
        return event

    @property
    def newest_id(self) -> str | None:
        return next((event["id"] for event in reversed(self.history) if "id" in event), "1000-0")

    def _process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        self.attempts.append(asyncio.get_running_loop().time())
        self.headers.append(request.headers)
        self.paths.append(request.path)
        if not self.http_refusals:
            return None
        status, headers = self.http_refusals.popleft()
        response = socket.respond(HTTPStatus(status), "refused\n")
        response.headers.update(headers)
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        connection = ScriptedConnection(socket)
        self.connections.append(connection)
        self._news.set()
        try:
            if self.refusals:
                error_code, close_code, reason = self.refusals.popleft()
                await self._refuse(connection, error_code, "go away")
                await socket.close(close_code, reason)
                return
            if self.greets:
                await connection.send(self._greeting(len(self.connections)))
            async for frame in socket:
                message = json.loads(frame)
                connection.note(message)
                await self._obey(connection, message)
        except ConnectionClosed:
            pass
        finally:
            connection.closed.set()

    def _greeting(self, number: int) -> dict[str, Any]:
        data: dict[str, Any] = {"client_id": f"client_{number:016x}", "server_time": "2026-01-16T14:30:15Z"}
        data["version"] = "1.0.0"
        greeting: dict[str, Any] = {"type": "connected", "data": data}
        if self.resumes:
            data.update(tier="developer", heartbeat_interval=30, resume=True, last_event_id=self.newest_id)
            greeting["timestamp"] = "2026-01-16T14:30:15.000Z"
        return greeting

    async def _refuse(self, connection: ScriptedConnection, code: str, message: str, **data: Any) -> None:
        error = {"type": "error", "timestamp": "2026-01-16T14:30:15.000Z", "code": code, "message": message}
        await connection.send({**error, "data": {**data, "code": code, "message": message}})

    async def _obey(self, connection: ScriptedConnection, message: dict[str, Any]) -> None:
        action = message.get("action", "")
        if self.rate_limited:
            self.rate_limited -= 1
            await self._refuse(connection, "RATE_LIMITED", "too many messages")
        elif action == "subscribe":
            async with self._order:
                await self._subscribe(connection, message)
        elif action in self.answers and action == "unsubscribe":
            connection.channels -= set(message.get("channels") or connection.channels)
            await connection.send({"type": "unsubscribed", "channels": message.get("channels") or ["all"]})
        elif action in self.answers and action == "ping":
            await connection.send({"type": "pong", "timestamp": "2026-01-16T14:30:15.000Z"})
        elif action in self.answers and action == "status":
            await connection.send({"type": "status", "data": {"client_id": "me", "messages_sent": 3}})
        elif action in self.answers and action == "publish":
            await self._publish(connection, message)

    async def _subscribe(self, connection: ScriptedConnection, message: dict[str, Any]) -> None:
        unknown = self.unknown_channels & set(message["channels"])
        if unknown:
            await self._refuse(connection, "INVALID_CHANNEL", f"no such channel: {', '.join(unknown)}")
            return
        connection.channels |= set(message["channels"])
        after, is_known = message.get("after"), message.get("after") not in self.unknown_ids
        gap = bool(after and self.forgets_before and id_order(after) < id_order(self.forgets_before))
        if after and not is_known:
            await self._refuse(connection, "HISTORY_UNAVAILABLE", "never heard of it")
        answer: dict[str, Any] = {"type": "subscribed", "channels": message["channels"], "filters": {}}
        if self.resumes:
            answer.update(last_event_id=self.newest_id, resumed=bool(after) and is_known, gap=gap or not is_known)
        if "subscribe" in self.answers:
            await connection.send(answer)
        for event in self._missed(message) if is_known and self.resumes else ():
            if connection.wants(event["type"]):
                await connection.send(event)

    def _missed(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        if "last" in message:
            return self.history[-message["last"] :]
        if "after" not in message:
            return []
        oldest = max(id_order(message["after"]), id_order(self.forgets_before or "0-0"))
        return [event for event in self.history if id_order(event["id"]) > oldest]

    async def _publish(self, connection: ScriptedConnection, message: dict[str, Any]) -> None:
        event_id = message["event_id"]
        is_duplicate = event_id in self.published
        if not is_duplicate:
            self.published[event_id] = self.make_event(message["channel"], **message["data"])["id"]
        if self.before_ack is not None:
            self.before_ack(connection)
        counts = {"accepted": int(not is_duplicate), "duplicates": int(is_duplicate)}
        await connection.send({"type": "publish_ack", "event_id": event_id, "id": self.published[event_id], **counts})
