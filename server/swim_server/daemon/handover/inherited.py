"""The new process's side: takes over sockets and lock, and counts the old process's clients until they have left."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.daemon.handover.channel import Channel, Offer

if TYPE_CHECKING:
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.streaming.admission import Admission


class InheritedProcess:
    """What a new process gets from the old one, and how it reports that it is ready."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        for descriptor in (offer.channel, offer.lock, *offer.listeners):
            os.set_inheritable(descriptor, False)
        self._channel: Channel | None = None

    def sockets(self, host: str, port: int) -> list[socket.socket] | None:
        """Return the inherited listening sockets; None if another address is configured now."""
        sockets = [socket.socket(fileno=descriptor) for descriptor in self.offer.listeners]
        if host == self.offer.host and port in (0, self.offer.port):
            for each in sockets:
                each.setblocking(False)
            return sockets
        for each in sockets:
            each.close()
        return None

    async def await_go(self, **program: str | None) -> list[tuple[str, int]]:
        """Report that all is prepared, and which program this is; wait until the old process's sources have stopped.

        Returns tier and key id of each of its live connections. If the old process dies meanwhile, this one proceeds at
        once.
        """
        self._channel = await Channel.open(socket.socket(fileno=self.offer.channel))
        self._channel.send("prepared", **program)
        message = await self._channel.receive()
        return [(tier, key_id) for tier, key_id in (message or {}).get("connections", ())]

    def say_serving(self, info: LockInfo) -> None:
        """Tell the old process that it can leave."""
        assert self._channel is not None, "await_go comes first"
        self._channel.send("serving", info=msgspec.to_builtins(info))

    async def follow(self, admission: Admission, connections: Sequence[tuple[str, int]]) -> None:
        """Count the old process's connections until each has left, so that limits stay exact over both processes."""
        assert self._channel is not None, "await_go comes first"
        held = Counter((tier, key_id) for tier, key_id in connections)
        while (message := await self._channel.receive()) is not None:
            if message["type"] == "left":
                holder = (message["tier"], message["key_id"])
                admission.release(*holder)
                held[holder] -= 1
        for holder in held.elements():
            admission.release(*holder)
        await self._channel.close()

    def tell(self, kind: str, **details: Any) -> None:
        """Send a message to the old process, which still has clients."""
        if self._channel is not None:
            self._channel.send(kind, **details)
