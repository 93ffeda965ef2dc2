"""A minimal blocking client of the wire protocol and the control socket: checking an image must take milliseconds."""

from __future__ import annotations

import json
import socket
import struct
import time
from pathlib import Path
from typing import Any, Self

import msgspec

SECONDS = 60.0
_MASK = b"\0\0\0\0"
_decode = msgspec.json.Decoder().decode


class Closed(Exception):
    """The server has closed the connection, or it broke."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)


class InvalidText(Exception):
    """A text message that is not UTF-8 or JSON: a client must close with 1007."""


class Wire:
    """One connection. Every wait ends after SECONDS with TimeoutError."""

    def __init__(self, link: socket.socket, head: str) -> None:
        self._link = link
        self._buffer = bytearray()
        link.settimeout(SECONDS)
        link.sendall(
            f"{head}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def _shake_hands(self) -> None:
        """Wait for the answer to the handshake. Raises Closed."""
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        answer, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            self.close()
            raise Closed(int(answer.split(b" ", 2)[1]))

    @classmethod
    def connect(cls, port: int, api_key: str) -> Self:
        """Connect as a consumer and wait for the welcome. Raises Closed, OSError."""
        return cls.begin(port, api_key).welcomed()

    @classmethod
    def begin(cls, port: int, api_key: str) -> Self:
        """Begin to connect as a consumer; many may begin before any is ``welcomed``. Raises OSError."""
        link = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {api_key}\r\n"
        return cls(link, f"GET /api/swim/v1/ws HTTP/1.1\r\n{host}")

    def welcomed(self) -> Self:
        """Wait for the welcome. Raises Closed, OSError."""
        try:
            self._shake_hands()
            self.until("connected")
        except BaseException:
            self.close()
            raise
        return self

    @classmethod
    def control(cls, path: Path) -> Self:
        """Connect to the control socket. Raises OSError."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(SECONDS)
        link.connect(str(path))
        wire = cls(link, "GET /api/swim/v1/ws HTTP/1.1\r\nHost: swim\r\n")
        wire._shake_hands()
        return wire

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        payload = json.dumps(message).encode()
        if len(payload) < 126:
            head = struct.pack("!BB", 0x81, 0x80 | len(payload))
        elif len(payload) < 65_536:
            head = struct.pack("!BBH", 0x81, 0xFE, len(payload))
        else:
            head = struct.pack("!BBQ", 0x81, 0xFF, len(payload))
        self._link.sendall(head + _MASK + payload)

    def next(self) -> dict[str, Any]:
        """Receive the next message. Raises Closed, InvalidText, TimeoutError."""
        while (frame := self._frame()) is None:
            self._receive()
        opcode, payload = frame
        if opcode == 8:
            self.close()
            raise Closed(int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode(errors="replace"))
        if opcode == 9:
            self._link.sendall(struct.pack("!BB", 0x8A, 0x80 | len(payload)) + _MASK + payload)
            return self.next()
        try:
            found: dict[str, Any] = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidText(str(error)) from None
        return found if isinstance(found, dict) else {}

    def has_more(self) -> bool:
        """Return True if a whole message has been received already."""
        kept = bytes(self._buffer)
        frame = self._frame()
        self._buffer[:] = kept
        return frame is not None

    def until(self, *types: str, seconds: float = SECONDS) -> dict[str, Any]:
        """Read until a message of one of these types arrives. Raises TimeoutError, and what ``next`` raises."""
        deadline = time.monotonic() + seconds
        self._link.settimeout(seconds)
        try:
            while time.monotonic() < deadline:
                message = self.next()
                if message.get("type") in types:
                    return message
        finally:
            if self._link.fileno() >= 0:  # not closed meanwhile
                self._link.settimeout(SECONDS)
        raise TimeoutError(f"no {' or '.join(types)} within {seconds:g} s")

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Call a method of the control socket. Raises RuntimeError with its error."""
        self.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        while True:
            answer = self.next()
            if "jsonrpc" in answer:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return answer["result"]

    def publish(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Publish through the control socket; return one answer per event. Raises RuntimeError if not stored."""
        found: list[dict[str, Any]] = self.call("publish", {"events": rows})["published"]
        return found

    def _receive(self) -> None:
        data = self._link.recv(1 << 18)
        if not data:
            raise Closed(None)
        self._buffer += data

    def _frame(self) -> tuple[int, bytes] | None:
        buffer, begin = self._buffer, 2
        if len(buffer) < begin:
            return None
        length = buffer[1] & 127
        if length >= 126:
            begin += 2 if length == 126 else 8
            if len(buffer) < begin:
                return None
            length = int.from_bytes(buffer[2:begin], "big")
        if len(buffer) < begin + length:
            return None
        payload = bytes(buffer[begin : begin + length])
        opcode = buffer[0] & 15
        del buffer[: begin + length]
        return opcode, payload
