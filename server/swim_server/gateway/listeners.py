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
FREE_PORT_TRIES = 10
NO_SUCH_ADDRESS = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""What binding one of several addresses of a name fails with where this machine has no IPv6, or no IPv4."""


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
    """What accepts on one socket."""

    def close(self) -> None:
        """Stop accepting; existing connections stay."""


def plain_server(endpoint: Callable[[], asyncio.Protocol]) -> Callable[[socket.socket], Awaitable[Serving]]:
    """Let each connection to a socket have an endpoint of its own."""

    async def serve(listener: socket.socket) -> Serving:
        return await asyncio.get_running_loop().create_server(endpoint, sock=listener, backlog=BACKLOG)

    return serve


class Listeners:
    """Opens the sockets that clients and ``swimctl`` come in by, and closes them for new ones."""

    def __init__(
        self, serve: Callable[[socket.socket], Awaitable[Serving]], local: Callable[[], asyncio.Protocol]
    ) -> None:
        self._serve = serve
        """Begins to accept on a public socket, which is its to close."""
        self._local = local
        self._public_servers: list[Serving] = []
        self._local_server: asyncio.Server | None = None
        self._is_paused = False
        self._is_held_back = False
        self.sockets: list[socket.socket] = []
        """The public listening sockets, all of one port. Clients may connect as long as they are open, and wait while
        nobody accepts."""

    async def listen(self, host: str, port: int) -> int:
        """Bind the public address, every one that the name stands for; return the port. Raises CannotListen."""
        return await self.adopt(_bind(host, port))

    async def adopt(self, sockets: list[socket.socket]) -> int:
        """Accept on sockets that are bound already, own ones or those of a process that hands over; return the port."""
        self.sockets = sockets
        await self.resume()
        return int(sockets[0].getsockname()[1])

    async def resume(self) -> None:
        """Accept who waits on the public sockets, and who comes. Idempotent."""
        self._is_paused = False
        if self._is_held_back:
            return
        for each in self.sockets[len(self._public_servers) :]:
            # A server closes its socket when it ends: it gets a descriptor of its own.
            self._public_servers.append(await self._serve(each.dup()))

    def pause(self) -> None:
        """Let those who come wait: the sockets stay open, another process may accept on them."""
        self._is_paused = True
        self._stop_accepting()

    def hold_back(self) -> None:
        """Let those who come wait until ``accept_again``, whatever else is paused and resumed meanwhile."""
        self._is_held_back = True
        self._stop_accepting()

    async def accept_again(self) -> None:
        """There is room again."""
        self._is_held_back = False
        if not self._is_paused:
            await self.resume()

    def _stop_accepting(self) -> None:
        for server in self._public_servers:
            server.close()
        self._public_servers.clear()

    async def listen_locally(self, path: Path) -> None:
        """Bind the control socket, readable by its owner alone.

        Takes the place, in one step, of one that a killed daemon left, or of this one's own.
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
    """Bind every address of the host, to one port. One that this machine can't have is left out if another can."""
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
            break  # else the free port of the first address was taken on another one: look for a freer one
    failure = failures[0]
    raise CannotListen(host, port, failure.strerror or str(failure), is_taken=failure.errno == errno.EADDRINUSE)


def _bind_each(addresses: Sequence[tuple[Any, Any]]) -> tuple[list[socket.socket], list[OSError]]:
    sockets: list[socket.socket] = []
    errors: list[OSError] = []
    for family, address in addresses:
        port = address[1] or (sockets[0].getsockname()[1] if sockets else 0)
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            errors.append(error)
            continue
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(BACKLOG)  # only now it is known whether somebody else listens there
            listener.setblocking(False)
            sockets.append(listener)
        except OSError as error:
            listener.close()
            errors.append(error)
    return sockets, errors
