"""A minimal client that reads until it is admitted or refused: thousands fit into one process."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import struct
from typing import cast
from urllib.parse import urlsplit

import msgspec

from swimctl.doctor.probes.wire import USER_AGENT, Target, reason_of

MAX_READ_BYTES = 64 * 1024
TEXT, CLOSE = 0x1, 0x8


class Outcome(msgspec.Struct, frozen=True):
    """How the service received a client."""

    is_in: bool
    reason: str = ""
    error_code: str | None = None
    close_code: int | None = None
    tier: str | None = None
    current: int | None = None
    limit: int | None = None


class TrialClient(asyncio.Protocol):
    """One connection: ``open`` it, then ``abort`` it."""

    __slots__ = ("_api_key", "_data", "_error", "_is_upgraded", "_target", "_transport", "_waiter")

    def __init__(self, target: Target, api_key: str) -> None:
        self._target = target
        self._api_key = api_key
        self._data = bytearray()
        self._is_upgraded = False
        self._error: dict[str, object] | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Outcome] | None = None

    async def open(self, seconds: float) -> Outcome:
        """Connect and wait for the service's first message."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        context = ssl.create_default_context() if self._target.is_tls else None
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(lambda: self, self._target.host, self._target.port, ssl=context)
                return await self._waiter
        except TimeoutError:
            return Outcome(False, f"no answer within {seconds:g} s")
        except OSError as error:
            return Outcome(False, reason_of(error))

    def abort(self) -> None:
        """Disconnect at once. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        parts = urlsplit(self._target.url)
        nonce = base64.b64encode(os.urandom(16)).decode()
        host = f"[{self._target.host}]" if ":" in self._target.host else self._target.host
        self._transport.write(
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{self._target.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n"
            f"Authorization: Bearer {self._api_key}\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            return  # a heartbeat, or the end
        self._data += data
        if len(self._data) > MAX_READ_BYTES:
            self._answer(Outcome(False, "it sends without end"))
        while not self._waiter.done() and self._take():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer(self._refusal(None) if self._error is not None else Outcome(False, "cut without an answer"))

    def _answer(self, outcome: Outcome) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(outcome)

    def _take(self) -> bool:
        """Parse one piece of the received bytes; return False if it is incomplete."""
        if not self._is_upgraded:
            head, separator, rest = bytes(self._data).partition(b"\r\n\r\n")
            if not separator:
                return False
            self._data = bytearray(rest)
            self._is_upgraded = True
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self._answer(Outcome(False, head.split(b"\r\n", 1)[0].decode("latin-1")[:100]))
            return True
        frame = _frame(self._data)
        if frame is None:
            return False
        opcode, payload, size = frame
        del self._data[:size]
        if opcode == CLOSE:
            self._answer(self._refusal(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None))
        elif opcode == TEXT:
            self._read(payload)
        return True

    def _read(self, payload: bytes) -> None:
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._answer(Outcome(False, "its first message is not a JSON object"))
        elif message.get("type") == "connected":
            self._answer(Outcome(True))
        elif message.get("type") == "error":
            self._error = message

    def _refusal(self, close_code: int | None) -> Outcome:
        error = self._error or {}
        data = error.get("data")
        details = data if isinstance(data, dict) else {}
        code, tier = error.get("code", details.get("code")), details.get("tier")
        current, limit = details.get("current"), details.get("limit")
        return Outcome(
            False,
            f"{str(error.get('message') or 'no reason given')[:150]} ({close_code})",
            str(code) if code is not None else None,
            close_code,
            str(tier) if tier is not None else None,
            current if isinstance(current, int) else None,
            limit if isinstance(limit, int) else None,
        )


def _frame(data: bytearray) -> tuple[int, bytes, int] | None:
    """Return the first frame: opcode, payload, total size; None if it is incomplete. Servers don't mask."""
    if len(data) < 2:
        return None
    length, start = data[1] & 0x7F, 2
    if length == 126:
        if len(data) < 4:
            return None
        length, start = struct.unpack_from(">H", data, 2)[0], 4
    elif length == 127:
        if len(data) < 10:
            return None
        length, start = struct.unpack_from(">Q", data, 2)[0], 10
    end = start + length
    return (data[0] & 0x0F, bytes(data[start:end]), end) if len(data) >= end else None
