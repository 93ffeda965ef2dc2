"""A worker's connections whose requests are not for a WebSocket: given back to the primary, or relayed under TLS."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from typing import TYPE_CHECKING, cast

from swim_server.workers import messages
from swim_server.workers.messages import PlainRequest

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.http.protocols import PassedOwner
    from swim_server.protocol.codes import CloseCode
    from swim_server.workers.descriptors import DescriptorChannel
    from swim_server.workers.link import Link

TOKEN_BYTES = 8


class Passing:
    """Passes connections to the primary."""

    def __init__(self, link: Link, descriptors: DescriptorChannel, tasks: Tasks, *, is_tls: bool) -> None:
        self.tasks = tasks
        self._link = link
        self._descriptors = descriptors
        self._is_tls = is_tls
        self._tokens = itertools.count(1)

    def connection(self, owner: PassedOwner, transport: asyncio.Transport) -> PassedConnection:
        """Return what takes the bytes of one connection."""
        return PassedConnection(self, owner, transport)

    def pass_on(self, transport: asyncio.Transport, data: bytes) -> socket.socket | None:
        """Give the primary a connection, and what was read of it; return this end of the relay if it needs one."""
        token = next(self._tokens)
        peer = transport.get_extra_info("peername")
        near: socket.socket | None = None
        if self._is_tls:
            near, far = socket.socketpair()
            near.setblocking(False)
            descriptor = far.detach()
        else:
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
        self._descriptors.send(descriptor, token.to_bytes(TOKEN_BYTES, "big"))
        relayed = (str(peer[0]), int(peer[1])) if near is not None and peer else None
        self._link.tell(messages.PLAIN, PlainRequest(token, data, relayed))
        return near


class PassedConnection:
    """One connection, with the interface of a connection of plain HTTP."""

    def __init__(self, passing: Passing, owner: PassedOwner, transport: asyncio.Transport) -> None:
        self._passing = passing
        self._owner = owner
        self._transport = transport
        self._relay: _Relay | None = None
        self._is_passed = False
        self._early = bytearray()

    def receive(self, data: bytes) -> None:
        """Pass the connection on with the first bytes; relay those that follow."""
        if self._is_passed:
            if self._relay is not None:
                self._relay.write(data)
            else:
                self._early += data
            return
        self._is_passed = True
        try:
            near = self._passing.pass_on(self._transport, data)
        except OSError:  # no descriptors are left
            self._owner.abort()
            return
        if near is None:
            self._owner.abort()  # closes this process's descriptor alone
        else:
            self._passing.tasks.start(self._connect(near))

    async def _connect(self, near: socket.socket) -> None:
        relay = _Relay(self._owner, self._transport)
        await asyncio.get_running_loop().create_unix_connection(lambda: relay, sock=near)
        if self._transport.is_closing():
            relay.abort()
            return
        self._relay = relay
        relay.write(bytes(self._early))
        self._early.clear()
        self._owner.read_plain()

    def receive_eof(self) -> bool:
        """Return False: under TLS a connection can't be closed in one direction alone."""
        return False

    def is_taken(self) -> bool:
        """Return True: the primary limits how long a request may take."""
        return True

    def pause_writing(self) -> None:
        """Stop taking from the primary: the client reads too slowly."""
        if self._relay is not None:
            self._relay.hold()

    def resume_writing(self) -> None:
        """Take from the primary again."""
        if self._relay is not None:
            self._relay.release()

    def lost(self, error: Exception | None) -> None:
        """End the relay: the client is gone."""
        if self._relay is not None:
            self._relay.abort()

    def close(self, code: CloseCode, reason: str, *, retry_ms: int) -> bool:
        """Return False: there is no event with which it could be ended here."""
        return False


class _Relay(asyncio.Protocol):
    """The socket pair between a client of this process and the primary."""

    def __init__(self, owner: PassedOwner, client: asyncio.Transport) -> None:
        self._owner = owner
        self._client = client
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._client.close()

    def pause_writing(self) -> None:
        self._owner.hold_plain()

    def resume_writing(self) -> None:
        self._owner.read_plain()

    def write(self, data: bytes) -> None:
        """Send what the client sent."""
        if data and self._transport is not None:
            self._transport.write(data)

    def hold(self) -> None:
        """Stop taking from the primary."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Take from the primary again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """End it. Idempotent."""
        if self._transport is not None:
            self._transport.abort()
