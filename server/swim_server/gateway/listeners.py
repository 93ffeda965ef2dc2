"""The listening sockets: the public one and the control socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from swim_server.errors import OperatorError

BACKLOG = 4096
ACCEPTS_PER_TURN = 64
"""Maximum number of connections accepted in one turn of the loop; the others wait in the socket's queue."""
FREE_PORT_TRIES = 10
NO_SUCH_ADDRESS = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""How binding one address of several fails if this machine has no IPv6, or no IPv4."""


class CannotListen(OperatorError):
    """The address can't be bound."""

    def __init__(self, host: str, port: int, reason: str, *, is_taken: bool = False) -> None:
        self.host = host
        self.port = port
        self.reason = reason
        self.is_taken = is_taken
        super().__init__(host, port, reason)

    def __str__(self) -> str:
        step = "stop the program that uses it, or choose another: --port 0 takes a free one"
        if not self.is_taken:
            step = "check [server] host and port"
        return f"can't listen on {self.host or '*'} port {self.port}: {self.reason}; {step}"


class Serving(Protocol):
    """A server that accepts on one socket."""

    def close(self) -> None:
        """Stop accepting; existing connections stay."""


class Acceptor:
    """Accepts on one socket by itself, for connections that are not given to an endpoint of this process at once."""

    def __init__(self, listener: socket.socket, take: Callable[[socket.socket, str], None]) -> None:
        """Accept from now on; ``take`` is given each connection, and the address of its peer."""
        self._listener = listener
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Stop accepting and close the socket. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.remove_reader(self._listener)
            self._listener.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if self._is_closed:
                return
            try:
                accepted, address = self._listener.accept()
            except OSError:  # nobody waits any more, or the peer has gone; the loop asks again
                return
            accepted.setblocking(False)
            self._take(accepted, str(address[0]))


def plain_server(endpoint: Callable[[], asyncio.Protocol]) -> Callable[[socket.socket], Awaitable[Serving]]:
    """Return a server that gives each connection an endpoint."""

    async def serve(listener: socket.socket) -> Serving:
        return await asyncio.get_running_loop().create_server(endpoint, sock=listener, backlog=BACKLOG)

    return serve


class Listeners:
    """Opens the sockets for clients and ``swimctl``, and stops accepting on them."""

    def __init__(
        self, serve: Callable[[socket.socket], Awaitable[Serving]], local: Callable[[], asyncio.Protocol]
    ) -> None:
        self._serve = serve
        """Starts to accept on a public socket, which it then owns."""
        self._local = local
        self._public_servers: list[Serving] = []
        self._local_server: asyncio.Server | None = None
        self._is_paused = False
        self._is_held_back = False
        self.sockets: list[socket.socket] = []
        """The public listening sockets, all with one port. While they are open, clients wait if nobody accepts."""

    async def listen(self, host: str, port: int) -> int:
        """Bind every address that the public name resolves to; return the port. Raises CannotListen."""
        return await self.adopt(_bind(host, port))

    async def adopt(self, sockets: list[socket.socket]) -> int:
        """Accept on sockets that are already bound, ours or those of a process that hands over; return the port."""
        self.sockets = sockets
        await self.resume()
        return int(sockets[0].getsockname()[1])

    async def resume(self) -> None:
        """Accept clients that wait on the public sockets, and new ones. Idempotent."""
        self._is_paused = False
        if self._is_held_back:
            return
        for each in self.sockets[len(self._public_servers) :]:
            # A server closes its socket when it ends, so it gets its own descriptor.
            self._public_servers.append(await self._serve(each.dup()))

    def pause(self) -> None:
        """Stop accepting: the sockets stay open, and another process may accept on them."""
        self._is_paused = True
        self._stop_accepting()

    def hold_back(self) -> None:
        """Stop accepting until ``accept_again``, even if the listeners are paused and resumed meanwhile."""
        self._is_held_back = True
        self._stop_accepting()

    async def accept_again(self) -> None:
        """Accept again: there are descriptors left."""
        self._is_held_back = False
        if not self._is_paused:
            await self.resume()

    def _stop_accepting(self) -> None:
        for server in self._public_servers:
            server.close()
        self._public_servers.clear()

    async def listen_locally(self, path: Path) -> None:
        """Bind the control socket, accessible to its owner only.

        Atomically replaces one that a killed daemon left, or this daemon's own.
        """
        temporary = path.with_name(f".{os.getpid()}")  # no longer than the name: a socket's path has a limit
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(temporary))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        server = await asyncio.get_running_loop().create_unix_server(self._local, sock=listener)
        temporary.rename(path)
        self._close_local()
        self._local_server = server

    def close(self) -> None:
        """Stop accepting; existing connections stay."""
        self.pause()
        for each in self.sockets:
            each.close()
        self.sockets = []
        self._close_local()

    def _close_local(self) -> None:
        if self._local_server is not None:
            self._local_server.close()
            self._local_server = None


def _bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of the host to one port. One that this machine can't have is skipped if another works."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(host, port, getattr(error, "strerror", None) or str(error)) from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(FREE_PORT_TRIES):
        sockets, errors = _bind_each(addresses)
        failures = [error for error in errors if not sockets or error.errno not in NO_SUCH_ADDRESS]
        if not failures:
            return sockets
        for listener in sockets:
            listener.close()
        if port or failures[0].errno != errno.EADDRINUSE:
            break  # else the free port of the first address was taken on another one: try another port
    failure = failures[0]
    raise CannotListen(host, port, failure.strerror or str(failure), is_taken=failure.errno == errno.EADDRINUSE)


def _bind_each(addresses: Sequence[tuple[Any, Any]]) -> tuple[list[socket.socket], list[OSError]]:
    sockets: list[socket.socket] = []
    errors: list[OSError] = []
    for family, address in addresses:
        port = address[1] or (sockets[0].getsockname()[1] if sockets else 0)
        try:
            # Only of sockets that say their protocol does asyncio know that they may be told TCP_NODELAY.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        except OSError as error:
            errors.append(error)
            continue
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(BACKLOG)  # only now is it known whether another process listens there
            listener.setblocking(False)
            sockets.append(listener)
        except OSError as error:
            listener.close()
            errors.append(error)
    return sockets, errors
