"""The server's side of one WebSocket, with everything a client should survive: partial frames, silence, floods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from http import HTTPStatus

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

READ_BYTES = 65_536
CLOSING_SECONDS = 2.0


class SocketStream:
    """Reads and writes one connection. ``upgrade`` comes first; ``messages`` yields text until the end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_compressed: bool = False
    ) -> None:
        self.is_frozen = False
        """While true, nothing is read and so nothing is answered, not even pings."""
        self.pongs = 0
        """How many pongs the client has sent."""
        self._reader = reader
        self._writer = writer
        extensions = [ServerPerMessageDeflateFactory()] if is_compressed else None
        self._protocol = ServerProtocol(extensions=extensions, max_size=None)
        self._thawed = asyncio.Event()

    @property
    def close_code(self) -> int | None:
        """The client's close code; None if it has not sent one."""
        return self._protocol.close_rcvd.code if self._protocol.close_rcvd is not None else None

    @property
    def local_port(self) -> int:
        """The port that the client connected to."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    async def request(self) -> Request | None:
        """Wait for the upgrade request; None if the client disconnects first."""
        while True:
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    return event
            if not await self._read():
                return None

    async def accept(self, request: Request) -> None:
        """Accept the upgrade with 101."""
        self._protocol.send_response(self._protocol.accept(request))
        await self.flush()

    async def refuse(self, status: int, headers: Mapping[str, str], body: str) -> None:
        """Answer the upgrade with another status."""
        response = self._protocol.reject(HTTPStatus(status), body or "refused\n")
        response.headers.update(headers)
        self._protocol.send_response(response)
        await self.flush()
        self._writer.close()

    async def messages(self) -> AsyncIterator[str]:
        """Yield each text message, until the connection ends."""
        parts: list[bytes] = []
        while True:
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    if event.opcode is Opcode.PONG:
                        self.pongs += 1
                    elif event.opcode in (Opcode.TEXT, Opcode.CONT):
                        parts.append(bytes(event.data))
                        if event.fin:
                            text, parts = b"".join(parts).decode(), []
                            yield text
            await self.flush()
            if not await self._read():
                return

    async def _read(self) -> bool:
        try:
            data = await self._reader.read(READ_BYTES)
        except (ConnectionError, OSError):
            return False
        while self.is_frozen:  # what was on its way when it froze is not answered either
            await self._thawed.wait()
        if not data:
            self._protocol.receive_eof()
            return False
        self._protocol.receive_data(data)
        if self._protocol.close_expected() and self._protocol.state is not State.OPEN:
            await self.flush()
            self._writer.close()
        return True

    async def send(self, text: str) -> None:
        """Send a text message; does nothing on an ended connection."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            await self.flush()

    async def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            await self.flush()

    async def send_in_chunks(self, text: str, chunks: int, pause_seconds: float) -> None:
        """Send one message in this many fragments, with a ping between fragments."""
        data = text.encode()
        size = max(1, -(-len(data) // chunks))
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            if number == 0:
                self._protocol.send_text(piece, fin=is_last)
            else:
                self._protocol.send_continuation(piece, fin=is_last)
            if not is_last:
                self._protocol.send_ping(b"between")
            await self.flush()
            await asyncio.sleep(pause_seconds)

    async def ping(self) -> None:
        """Send a ping."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"are you there")
            await self.flush()

    async def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, and drop the connection if the client doesn't complete it."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            await self.flush()
            asyncio.get_running_loop().call_later(CLOSING_SECONDS, self.cut)

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self._writer.transport.abort()
        self.thaw()

    async def cut_in_frame(self, text: str) -> None:
        """Send the first half of a message's frame, then drop the connection."""
        frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
        self._writer.write(frame[: len(frame) // 2])
        await self._drain()
        self._writer.close()
        self.thaw()

    def thaw(self) -> None:
        """Resume reading."""
        self.is_frozen = False
        self._thawed.set()

    async def flush(self) -> None:
        """Send the bytes that the protocol has ready."""
        for data in self._protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof() and not self._writer.is_closing():
                with suppress(OSError):  # the client may be gone already
                    self._writer.write_eof()
        await self._drain()

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except (ConnectionError, OSError):
            return
