"""An echo on the shipped endpoint, and one on the library's own server: what a test suite of the protocol talks to.

    python -m support.echo_server endpoint|library

Prints its port. The endpoint is the one that the daemon listens with; the conversation behind it echoes each message,
compressed where that was negotiated.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
import uvloop
from support.gateway_rig import Rig
from swim_server.gateway.dispatcher import Dispatcher, Sender
from swim_server.gateway.endpoint import Endpoint
from swim_server.streaming.connection import Connection
from swim_server.streaming.framed_event import PLAIN, deflated_frame, text_frame
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

LIMIT_BYTES = 32 * 1024 * 1024
"""Section 9 sends messages of 16 MiB; the service itself reads 1 MiB."""
TURN_SECONDS = 0.05
GREETING = b"left out"
GREETING_FRAME = text_frame(GREETING)


class WithoutGreeting:
    """A transport that drops the service's greeting, as test suites expect only their own messages."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._is_left_out = False

    def write(self, data: bytes) -> None:
        if not self._is_left_out and GREETING_FRAME in data:
            data, self._is_left_out = data.replace(GREETING_FRAME, b"", 1), True
        if data:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class EchoEndpoint(Endpoint):
    """The shipped endpoint, on such a transport."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.BaseTransport, WithoutGreeting(cast(asyncio.WriteTransport, transport))))


class Echo(Dispatcher):
    """Answers each message with itself, compressed if negotiated, and without limits."""

    def count_frame(self, sender: Sender, connection: Connection, opcode: int, size_bytes: int) -> None:
        """Apply no limit: suites send a thousand messages as fast as they can."""

    def dispatch(
        self, sender: Sender, connection: Connection, payload: bytes, size_bytes: int, *, is_text: bool
    ) -> None:
        bits = connection.window_bits
        frame = text_frame(payload) if bits == PLAIN else deflated_frame(payload, bits)
        connection.send_frame(frame if is_text else bytes([frame[0] + 1]) + frame[1:])


class EchoRig(Rig):
    """The gateway as its unit tests build it, on a real loop; every client is admitted."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(max_buffer_bytes=LIMIT_BYTES, heartbeat_seconds=3600)  # a heartbeat is no echo
        self.authenticator.keys[""] = self.authenticator.keys["sys"]
        self.context.conversation.greeting = lambda connection: GREETING  # type: ignore[method-assign]  # every greeting is the one that is left out
        echo = Echo(
            self.context.conversation,
            self.rpc,
            self.admission,
            self.tasks,
            abuse_factor=20,
            clock=self.clock,
        )
        self.context = dataclasses.replace(self.context, dispatcher=echo)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon(callback)

    async def run(self) -> None:
        """Listen, and let the rig's clock follow real time."""
        await self.open()
        kind = msgspec.structs.replace(
            self.context.public_kind, max_message_bytes=LIMIT_BYTES, hard_limit_bytes=LIMIT_BYTES
        )
        server = await self._loop.create_server(lambda: EchoEndpoint(self.context, kind), "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        while True:
            before = time.monotonic()
            await asyncio.sleep(TURN_SECONDS)
            self.advance(time.monotonic() - before)


async def run_library() -> None:
    """Run the library's asyncio server, as in its documentation."""

    async def echo(client: ServerConnection) -> None:
        try:
            async for message in client:
                await client.send(message)
        except ConnectionClosed:
            pass

    async with serve(echo, "127.0.0.1", 0, max_size=LIMIT_BYTES, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future[Any]()


async def run_endpoint() -> None:
    await EchoRig().run()


if __name__ == "__main__":
    logging.disable()
    uvloop.run({"endpoint": run_endpoint, "library": run_library}[sys.argv[1]]())
