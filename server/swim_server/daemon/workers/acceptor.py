"""Accepts on one listening socket, and gives each connection to the worker that has the fewest."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

ACCEPTS_PER_TURN = 64
"""Maximum number of connections accepted in one turn of the loop; the others wait in the socket's queue."""


class Acceptor:
    """Accepts until it is closed."""

    def __init__(self, listener: socket.socket, give: Callable[[socket.socket], None]) -> None:
        self._listener = listener
        self._give = give
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
                accepted, _ = self._listener.accept()
            except OSError:  # nobody waits any more, or the peer has gone; the loop asks again
                return
            accepted.setblocking(False)
            with contextlib.suppress(OSError):  # the peer has gone
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._give(accepted)
