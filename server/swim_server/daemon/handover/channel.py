"""The channel between the old and the new process: what is handed over, and the messages."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import socket
    from collections.abc import MutableMapping

VARIABLE = "_SWIM_HANDOVER"
"""Environment variable with the ``Offer`` for a new process."""
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Maximum length of a message between the two processes: the live connections are one line."""


class Offer(msgspec.Struct, frozen=True):
    """What the old process hands to the new one: inherited descriptors."""

    channel: int
    lock: int
    listeners: list[int]
    host: str
    port: int
    """The port configured when they were bound; if the configuration changed, other sockets are bound."""


def take_offer(environ: MutableMapping[str, str]) -> Offer | None:
    """Take the offer with which this process was started, if any. It is removed, so that no child process uses it."""
    text = environ.pop(VARIABLE, None)
    return msgspec.json.decode(text, type=Offer) if text is not None else None


class PeerClosed(Exception):
    """The other process is gone, or violates the protocol."""


class Channel:
    """One end of the channel between the old and the new process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        """Use one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))

    def send(self, kind: str, **details: Any) -> None:
        """Send a message; ignored if the other end is gone. Earlier versions know its type as ``word``."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode({"type": kind, "word": kind, **details}) + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """Receive the next message; None if the other end is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = msgspec.json.decode(line)
        message.setdefault("type", message.get("word"))
        return message

    async def close(self) -> None:
        """Close this end once everything sent is delivered. Idempotent."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
