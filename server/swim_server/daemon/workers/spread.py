"""Spreads connections over the workers: each goes to the one that has the fewest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swim_server.gateway.listeners import Acceptor, Serving
from swim_server.gateway.tls_entrance import TlsEntrance

if TYPE_CHECKING:
    import socket

    from swim_server.daemon.workers.primary_parts import PrimaryParts
    from swim_server.daemon.workers.worker_process import WorkerProcess
    from swim_server.daemon.workers.workers import Workers


class Spread:
    """Hands over the connections that the primary accepts."""

    def __init__(self, workers: Workers, primary: PrimaryParts) -> None:
        self._workers = workers
        self._primary = primary

    async def serve(self, listener: socket.socket) -> Serving:
        """Accept on a listening socket."""
        return Acceptor(listener, self.hand_over)

    def hand_over(self, connection: socket.socket, address: str) -> None:
        """Give a connection to the worker that has the fewest; without one, serve it here."""
        able = [worker for worker in self._workers.running.values() if worker.is_able]
        if able:
            min(able, key=_open).give(connection)
        elif self._primary.tls is not None:
            entrance = TlsEntrance(self._primary.endpoints, self._primary.endpoints.public_kind, connection)
            entrance.enter(address, self._primary.tls.context, self._primary.public)
        else:
            self._primary.tasks.start(self._serve_here(connection))

    async def _serve_here(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._primary.public, connection)
        except OSError:
            connection.close()  # the peer has gone


def _open(worker: WorkerProcess) -> int:
    return worker.open
