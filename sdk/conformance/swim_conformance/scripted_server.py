"""A real WebSocket server that treats its clients as a script says, and records what they do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from swim_conformance.connection import Connection
from swim_conformance.history import History, wants
from swim_conformance.script import Script

if TYPE_CHECKING:
    from typing import Self

PATH = "/api/swim/v1/ws"
SIGNAL_SECONDS = 20.0


class ScriptedServer:
    """Plays one script. ``async with`` starts and stops it; ``url`` is where clients connect."""

    def __init__(
        self, script: Script | None = None, *, on_entry: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.script = script or Script()
        self.history = History(has_ids=self.script.resume, epoch=self.script.epoch)
        self.connections: list[Connection] = []
        """Every connection that was opened, in order."""
        self.log: list[dict[str, Any]] = []
        """What happened: ``attempt``, ``upgraded``, ``received``, ``closed`` …; each with ``connection`` and ``at``."""
        self.failures: list[str] = []
        """Steps that waited in vain for the client."""
        self.url = ""
        self.order = asyncio.Lock()
        """Held while events are sent, so that no live event overtakes one from history."""
        self._on_entry = on_entry
        self._is_stopped = False
        self._attempts = 0
        self._signals: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        for _ in range(self.script.history):
            self.history.add()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen, at once or after the script's ``listens_after`` seconds; until then connections are refused."""
        self._bind(host, [port, *[0] * (self.script.addresses - 1)])
        if self.script.listens_after:
            self._spawn(self._listen_later(self.script.listens_after))
        else:
            await self._listen()

    def _bind(self, host: str, ports: Sequence[int]) -> None:
        for port in ports:
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        self.host = host
        self.ports = [bound.getsockname()[1] for bound in self._sockets]
        self.url = ",".join(f"ws://{self.host}:{port}{PATH}" for port in self.ports)

    async def _listen(self) -> None:
        assert self._sockets, "_bind comes first"
        for bound in self._sockets:
            self._servers.append(await asyncio.start_server(self._connected, sock=bound, limit=2**21))
        self._sockets = []

    async def _listen_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def stop(self) -> None:
        """Cut every connection and stop listening."""
        self._is_stopped = True
        for task in list(self._tasks):
            task.cancel()
        for connection in self.connections:
            connection.cut()
        self._stop_listening()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        for bound in self._sockets:
            bound.close()
        self._servers, self._sockets = [], []

    async def go_away(self, seconds: float) -> None:
        """Drop every connection, refuse new ones for this long, then listen on the same ports again."""
        self._stop_listening()
        for connection in self.connections:
            connection.cut()
        await asyncio.sleep(seconds)
        self._bind(self.host, self.ports)
        await self._listen()

    async def publish(self, event_type: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Store an event and send it to every subscribed connection."""
        async with self.order:
            event = self.history.add(event_type, data)
            for connection in self.connections:
                if wants(connection.channels, event_type):
                    await connection.send(self.history.shown(event))
        return event

    def signal(self, name: str) -> None:
        """Resume the steps that wait ``until`` this name."""
        self._signals.setdefault(name, asyncio.Event()).set()
        self.note("signal", None, name=name)

    async def signalled(self, name: str, seconds: float = SIGNAL_SECONDS) -> None:
        """Wait for a signal. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._signals.setdefault(name, asyncio.Event()).wait()

    def next_number(self) -> int:
        """Return the number of the next attempt."""
        self._attempts += 1
        return self._attempts

    def note(self, what: str, connection: int | None, **more: Any) -> None:
        """Add an entry to the log."""
        entry = {"at": asyncio.get_running_loop().time(), "what": what, "connection": connection, **more}
        self.log.append(entry)
        if what == "failure":
            self.failures.append(f"connection {connection}: {more['text']}")
        if self._on_entry is not None:
            self._on_entry(entry)

    def attempts(self) -> list[float]:
        """Return the time of each attempt, including refused ones."""
        return [entry["at"] for entry in self.log if entry["what"] == "attempt"]

    def received(self, connection: int, action: str | None = None) -> list[dict[str, Any]]:
        """Return the client's messages on a connection, counted from 1, of one action or all."""
        return [
            entry["message"]
            for entry in self.log
            if entry["what"] == "received"
            and entry["connection"] == connection
            and (action is None or entry["message"].get("action") == action)
        ]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_stopped:  # accepted just before: nobody would ever close it
            writer.transport.abort()
            return
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        self._spawn(connection.run())

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.failures.append(f"the scripted server itself: {problem!r}")


def describe(entry: dict[str, Any]) -> str:
    """Format a log entry as one line, for people."""
    who = f"connection {entry['connection']}" if entry["connection"] else "script"
    more = {name: value for name, value in entry.items() if name not in ("at", "what", "connection")}
    with suppress(KeyError):
        more = {"": json.dumps(more["message"])} if isinstance(more["message"], dict) else more
    shown = "  ".join(f"{name}={value}" if name else str(value) for name, value in more.items())
    return f"{who}: {entry['what']}{'  ' + shown if shown else ''}"
