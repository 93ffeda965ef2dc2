"""Plain HTTP clients: one that requests, one that follows a stream, and one that sends arbitrary bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.client import HTTPConnection
from typing import Any

from support.live_daemon import LiveDaemon, await_true


class Asker:
    """Sends requests to one daemon, with its own key."""

    def __init__(self, daemon: LiveDaemon, tier: str = "developer") -> None:
        self.daemon, self.key = daemon, daemon.make_key(tier).api_key

    def __call__(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.daemon.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Authorization": f"Bearer {self.key}", **named})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, path: str, **headers: str) -> Any:
        status, _, body = self("GET", path, None, **headers)
        assert status == 200, body
        return json.loads(body)


def raw(daemon: LiveDaemon, *parts: bytes, until: bytes = b"") -> bytes:
    """Send bytes, and read until the end or a given text."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as client:
        for part in parts:
            client.sendall(part)
        received = b""
        while not (until and until in received) and (data := client.recv(65_536)):
            received += data
        return received


def head(ask: Asker, method: str = "GET", path: str = "/tmis", version: str = "1.1", *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: a", f"X-API-Key: {ask.key}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Stream:
    """A stream that is read in a thread of its own: events as (id, type, data)."""

    def __init__(self, ask: Asker, path: str, **headers: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", ask.daemon.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {ask.key}", **named})
        self._socket = self._connection.sock  # the connection lets go of it when the answer is to end it
        self.response = self._connection.getresponse()
        assert self.response.status == 200
        self.events: list[tuple[str | None, str, Any]] = []
        self.has_ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self.response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name in ("id", "event", "data"):
                    fields[name] = value
                elif not line.strip() and fields:
                    self.events.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
                    fields = {}
        except (OSError, ValueError, AttributeError):
            pass  # it was closed here
        self.has_ended.set()

    def wait(self, count: int) -> list[tuple[str | None, str, Any]]:
        await_true(lambda: len(self.events) >= count, seconds=30, what=f"{count} events")
        return self.events

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended already; else whoever reads would hold it
            self._socket.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._connection.close()
