"""Hands open descriptors to another process, each with a few bytes, over a socket that keeps message boundaries."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

MAX_WAITING = 256
"""With this many waiting, the other process is too slow to be given more."""
PER_TURN = 64
MAX_DATA_BYTES = 16
BUFFER_BYTES = 1024 * 1024


def descriptor_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends. Raises OSError on systems without such sockets."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return ours, theirs


class DescriptorChannel:
    """One end. What is sent is closed here, and belongs to the other process from then on."""

    def __init__(self, end: socket.socket, receive: Callable[[int, bytes], None]) -> None:
        """Read from now on; ``receive`` is given each descriptor."""
        self._end = end
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._is_closed = False
        self._loop.add_reader(end, self._read)

    @property
    def is_full(self) -> bool:
        """Whether the other process doesn't keep up."""
        return self._is_closed or len(self._waiting) >= MAX_WAITING

    def send(self, descriptor: int, data: bytes = b"-") -> None:
        """Hand over a descriptor."""
        if self._is_closed:
            os.close(descriptor)
        elif self._waiting or not self._try(descriptor, data):
            self._waiting.append((descriptor, data))
            self._loop.add_writer(self._end, self._write)

    def _write(self) -> None:
        while self._waiting and self._try(*self._waiting[0]):
            self._waiting.popleft()
        if not self._waiting:
            self._loop.remove_writer(self._end)

    def _try(self, descriptor: int, data: bytes) -> bool:
        try:
            socket.send_fds(self._end, [data], [descriptor])
        except BlockingIOError:
            return False
        except OSError:  # the other process is gone, which its other socket tells; the client reconnects
            pass
        os.close(descriptor)
        return True

    def _read(self) -> None:
        for _ in range(PER_TURN):
            if self._is_closed:
                return
            try:
                data, descriptors, _, _ = socket.recv_fds(self._end, MAX_DATA_BYTES, 1)
            except OSError:
                return
            if not data:
                self._loop.remove_reader(self._end)
                return
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                self._receive(descriptor, data)

    def close(self) -> None:
        """Close this end, and what was not handed over. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._end)
        if self._waiting:
            self._loop.remove_writer(self._end)
        for descriptor, _ in self._waiting:
            os.close(descriptor)
        self._waiting.clear()
        self._end.close()
