"""A server with all its frames prepared: as fast as its reader. One client at a time, in a thread."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Any, Self

FIRST_MS = 1_768_573_815_000
STATE_ROWS = 200
CHUNK_EVENTS = 1000
"""Whole frames: a pong may stand between two chunks."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(message: dict[str, Any]) -> bytes:
    """Build a text frame from a message."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    if len(payload) < 65_536:
        return b"\x81\x7e" + struct.pack("!H", len(payload)) + payload
    return b"\x81\x7f" + struct.pack("!Q", len(payload)) + payload


def flight(number: int, **more: Any) -> dict[str, Any]:
    """Build a flight as in events and states."""
    return {
        "callsign": f"DAL{number}", "flight_uid": 1_000_000 + number, "dep": "KJFK", "arr": "EGLL",
        "latitude": 40.6 + number / 1e5, "longitude": -73.8, "altitude_ft": 35_000, "groundspeed_kts": 480,
        "heading_deg": 52, "current_artcc": "ZNY", **more,
    }  # fmt: skip


class BurstServer:
    """``url`` is the address for its only client, which it greets and subscribes automatically."""

    def __init__(self, *, events: int = 0, flights: int = 0, has_history: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._count = events
        self._flights = flights
        self._next = 0
        self._link: socket.socket | None = None
        self._subscribed = threading.Event()
        self._finished = 0
        self._history: list[bytes] | None = [] if has_history else None
        """The frames of all events; kept where a client is to resume."""
        self._writing = threading.Lock()
        self._is_over = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        self._listener.close()
        if self._link is not None:
            self._link.close()

    @property
    def newest(self) -> str:
        """The id of the last event sent."""
        return f"{FIRST_MS + self._next - 1}-0"

    def _accept(self) -> None:
        while not self._is_over:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        try:
            self._greet(link)
        except OSError:
            return

    def _greet(self, link: socket.socket) -> None:
        reader = link.makefile("rb")
        headers = {}
        while line := reader.readline().strip():
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        data = {"client_id": "client_1", "version": "1.0.0", "resume": True, "last_event_id": self.newest}
        link.sendall(frame({"type": "connected", "timestamp": "", "data": data}))
        while True:
            opcode, payload = _read_frame(reader)
            if opcode == 8:
                return
            if opcode == 9:
                self._send(link, bytes([0x8A, len(payload)]) + payload)
            if opcode == 1:
                self._answer(link, json.loads(payload))

    def _answer(self, link: socket.socket, message: dict[str, Any]) -> None:
        if message["action"] == "ping":
            self._send(link, frame({"type": "pong", "timestamp": ""}))
        if message["action"] != "subscribe":
            return
        answer = {"type": "subscribed", "channels": message["channels"], "filters": {}, "last_event_id": self.newest}
        answer |= {"resumed": "after" in message, "gap": False}
        if message.get("state") is True:
            answer["state_as_of"] = self.newest
        self._send(link, frame(answer))
        if message.get("state") is True:
            self._send_state(link)
        if self._history is not None and "after" in message:
            after = int(message["after"].partition("-")[0]) - FIRST_MS
            for chunk in _chunks(self._history[after + 1 :]):
                self._send(link, chunk)
            self._finished += 1
        self._link = link
        self._subscribed.set()

    def _send_state(self, link: socket.socket) -> None:
        rows = [flight(number, phase="ENROUTE", route="DCT " * 20) for number in range(self._flights)]
        parts = [rows[start : start + STATE_ROWS] for start in range(0, len(rows), STATE_ROWS)] or [[]]
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts)
            message = {"type": "state", "as_of": self.newest, "kind": "flights", "part": number, "is_last": is_last}
            self._send(link, frame({**message, "data": {"flights": part}}))

    def _send(self, link: socket.socket, data: bytes) -> None:
        with self._writing:
            link.sendall(data)

    def _event(self, **more: Any) -> bytes:
        number, self._next = self._next, self._next + 1
        timestamp = "2026-01-16T14:30:15.123Z"
        event = {"type": "flight.updated", "timestamp": timestamp, "id": f"{FIRST_MS + number}-0"}
        made = frame({**event, "data": flight(number, **more)})
        if self._history is not None:
            self._history.append(made)
        return made

    def _subscriber(self) -> socket.socket:
        """Wait until the client is subscribed."""
        self._subscribed.wait()
        assert self._link is not None, "it was set before"
        return self._link

    def burst(self) -> None:
        """Send this many events at once, in the background, once the client is subscribed."""
        chunks = _chunks([self._event() for _ in range(self._count)])
        threading.Thread(target=self._burst, args=(chunks,), daemon=True).start()

    def _burst(self, chunks: list[bytes]) -> None:
        link = self._subscriber()
        for chunk in chunks:
            self._send(link, chunk)
        self._finished += 1

    def burst_while_away(self) -> None:
        """Cut the client; this many events happen, and it gets them when it resumes."""
        for _ in range(self._count):
            self._event()
        link = self._subscriber()
        self._subscribed.clear()
        link.shutdown(socket.SHUT_RDWR)
        link.close()

    def finished(self, count: int) -> bool:
        """Return True if this many bursts have been written."""
        return self._finished >= count

    def trickle(self, count: int, *, per_second: int) -> None:
        """Send events at a constant rate, each with the time in microseconds."""
        link = self._subscriber()
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            self._send(link, self._event(sent_us=time.time() * 1e6))

    def heartbeats(self, seconds: float, *, every_seconds: float) -> None:
        """Send nothing but heartbeats for this long."""
        link = self._subscriber()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            data = {"connected_clients": 1, "uptime_seconds": 1, "last_event_id": self.newest}
            self._send(link, frame({"type": "system.heartbeat", "timestamp": "", "data": data}))
            time.sleep(min(left, every_seconds))


def _chunks(frames: list[bytes]) -> list[bytes]:
    return [b"".join(frames[start : start + CHUNK_EVENTS]) for start in range(0, len(frames), CHUNK_EVENTS)]


def _read_frame(reader: Any) -> tuple[int, bytes]:
    """Read one masked frame of a client."""
    head = reader.read(2)
    if len(head) < 2:
        raise OSError("the client is gone")
    length = head[1] & 0x7F
    if length == 126:
        length = struct.unpack("!H", reader.read(2))[0]
    elif length == 127:
        length = struct.unpack("!Q", reader.read(8))[0]
    mask = reader.read(4)
    payload = reader.read(length)
    return head[0] & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
