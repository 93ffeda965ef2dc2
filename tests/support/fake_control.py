"""A daemon's control socket without a daemon: real lock, real WebSocket, JSON-RPC and history per the protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile, LockInfo
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, unix_serve

Method = Callable[[Mapping[str, Any]], Any]


class RpcProblem(Exception):
    """A method's answer that is an error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(message)


class FakeDaemon:
    """Serves from a home until ``stop``. Requests are recorded in ``requests`` and ``subscribes``."""

    def __init__(self, home: Path, *, pid: int = 4242) -> None:
        self.home = Home(home)
        self.pid = pid
        self.methods: dict[str, Method] = {"publish": self._publish, "version": self._version}
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.subscribes: list[Mapping[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        """Its history."""
        self.refuse_subscribe: tuple[str, str] | None = None
        """Code and text of the error that answers a subscribe."""
        self.has_gap = False
        self.lose_after_storing = 0
        """So many publishes are stored, and the connection is dropped instead of an answer."""
        self._event_ids: dict[str, str] = {}
        self._lock = threading.RLock()
        self._live: set[ServerConnection] = set()
        self._subscribed: set[ServerConnection] = set()
        self._server: Server | None = None
        self._lockfile = Lockfile(self.home.lockfile)

    def start(self) -> FakeDaemon:
        """Take the lock and listen."""
        self.hold()
        return self.listen()

    def hold(self) -> None:
        """Take the lock and write who holds it."""
        self.home.prepare()
        self._lockfile.acquire()
        self._lockfile.write(
            LockInfo(
                pid=self.pid, process_started=0.0, host="test", started_at="2026-01-16T14:30:15.000Z", version="0.1.0",
                fingerprint="0123456789ab", url="ws://127.0.0.1:1/", control=str(self.home.control_socket),
            )
        )  # fmt: skip

    def listen(self) -> FakeDaemon:
        """Answer on the control socket."""
        self._server = unix_serve(self._serve, str(self.home.control_socket), compression=None)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self, *, code: int = 1012, reason: str = "the service stops") -> None:
        """Close every connection, stop listening, release the lock. Idempotent."""
        self.drop(code, reason)
        if self._server is not None:
            self._server.shutdown()
            self._server = None
            self.home.control_socket.unlink(missing_ok=True)
            self._lockfile.release()

    def drop(self, code: int = 1012, reason: str = "") -> None:
        """Close every connection, but keep listening."""
        with self._lock:
            live, self._live, self._subscribed = self._live, set(), set()
        for connection in live:
            connection.close(code, reason)

    def emit(self, type: str, data: Mapping[str, Any] | None = None, *, milliseconds: int | None = None) -> str:
        """Store an event and send it to subscribers; return its id."""
        with self._lock:
            event = {
                "type": type, "timestamp": "2026-01-16T14:30:15.000Z",
                "id": f"{milliseconds or 1768573815000 + len(self.events)}-0", "data": dict(data or {}),
            }  # fmt: skip
            self.events.append(event)
            for connection in list(self._subscribed):
                self._send(connection, event)
        return str(event["id"])

    def _serve(self, connection: ServerConnection) -> None:
        with self._lock:
            self._live.add(connection)
        self._send(
            connection, {"type": "connected", "timestamp": "x", "data": {"client_id": "client_0", "tier": "local"}}
        )
        try:
            for message in connection:
                self._answer(connection, json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self._live.discard(connection)
                self._subscribed.discard(connection)

    def _answer(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        if message.get("action") == "subscribe":
            self._subscribe(connection, message)
        elif message.get("action") == "status":
            self._send(connection, {"type": "status", "data": {"catching_up": False}})
        elif "jsonrpc" in message:
            self.requests.append((message["method"], message.get("params") or {}))
            try:
                answer = {"result": self.methods[message["method"]](message.get("params") or {})}
            except KeyError:
                answer = {"error": {"code": -32601, "message": f"no such method: {message['method']}"}}
            except RpcProblem as problem:
                answer = {"error": {"code": problem.code, "message": problem.message, "data": problem.data}}
            self._send(connection, {"jsonrpc": "2.0", "id": message["id"], **answer})

    def _subscribe(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        self.subscribes.append(message)
        if self.refuse_subscribe is not None:
            code, text = self.refuse_subscribe
            self._send(connection, {"type": "error", "code": code, "message": text, "data": {}})
            return
        with self._lock:
            newest = self.events[-1]["id"] if self.events else None
            answer = {"type": "subscribed", "channels": message["channels"], "filters": {}, "last_event_id": newest}
            self._send(connection, {**answer, "resumed": "after" in message, "gap": self.has_gap})
            for event in self._history(message):
                self._send(connection, event)
            self._subscribed.add(connection)

    def _history(self, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "after" in message:
            return [event for event in self.events if _order(event["id"]) > _order(message["after"])]
        if "last" in message:
            return self.events[-message["last"] :] if message["last"] else []
        return list(self.events) if "since" in message else []

    def _publish(self, params: Mapping[str, Any]) -> Any:
        published = []
        for row in params["events"]:
            name = row.get("event_id")
            is_duplicate = name in self._event_ids
            event_id = self._event_ids[name] if is_duplicate else self.emit(row["type"], row["data"])
            if name is not None:
                self._event_ids[name] = event_id
            published.append({"id": event_id, "duplicate": is_duplicate})
        if self.lose_after_storing:
            self.lose_after_storing -= 1
            self.drop(1011)
        return {"published": published}

    def _version(self, params: Mapping[str, Any]) -> Any:
        return {"pid": self.pid, "version": "0.1.0", "fingerprint": "0123456789ab"}

    def _send(self, connection: ServerConnection, message: Mapping[str, Any]) -> None:
        try:
            connection.send(json.dumps(message))
        except ConnectionClosed:
            with self._lock:
                self._subscribed.discard(connection)


def _order(event_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in event_id.split("-"))
