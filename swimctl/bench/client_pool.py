"""A process full of listening clients: ``python -m swimctl.bench.client_pool``, controlled over standard input.

The first line is a ``Task``. Once all clients listen or have failed, it answers with a line ``Opened``. A line
``Finish`` makes it wait for the last event, answer with a ``Result`` and exit; so does the end of standard input.
A client whose connection ends connects again and resumes, as any client should.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import Counter
from heapq import heappop, heappush

import msgspec

from swimctl.bench.histogram import bucket_of
from swimctl.bench.listener import STEP_BITS, Listener, Stage, Tally
from swimctl.bench.pool_messages import Finish, Opened, Result, Task

READ_BYTES = 16 * 1024
"""A larger buffer would be allocated and freed at every read."""
IN_FLIGHT = 64
"""Connections opened concurrently."""
MASK = b"\0\0\0\0"
UNAUTHORIZED = 4001
"""The code of a close after which a client must not come back."""
RETRY_SECONDS = 0.1


class ClientPool:
    """Many clients in one thread, on one epoll."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._tally = Tally(task.prefix.encode())
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._listeners: dict[int, Listener] = {}
        self._all: list[Listener] = []
        self._returning: dict[int, Listener] = {}
        """Those that connect again, by the descriptor of the new connection."""
        self._waiting: list[tuple[float, int, Listener]] = []
        """A heap of those that will: when, and a number that tells them apart."""
        self._ends = 0
        """How many connections have ended."""
        self._pending = task.clients
        """Clients that have not begun to connect yet."""
        self._opening: set[int] = set()
        self._failed = 0
        self._reason: str | None = None
        self._closed: Counter[int] = Counter()
        self._address = socket.getaddrinfo(task.host, task.port, type=socket.SOCK_STREAM)[0]
        self._request = (
            f"GET {task.path} HTTP/1.1\r\nHost: {task.host}:{task.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c3dpbWN0bCBiZW5jaCAhIQ==\r\n"
            f"Authorization: Bearer {task.api_key}\r\nUser-Agent: swimctl-bench\r\n\r\n"
        ).encode()

    def open(self) -> Opened:
        """Connect all clients, a few at a time, until each listens or has failed."""
        began = time.monotonic()
        deadline = began + self._task.open_seconds
        while (self._pending or self._opening) and time.monotonic() < deadline:
            while self._pending and len(self._opening) < IN_FLIGHT:
                self._begin()
            self._turn(0.1)
        for descriptor in list(self._opening):
            self._fail(descriptor, "no answer in time")
        self._failed += self._pending
        return Opened(len(self._all), self._failed, time.monotonic() - began, self._reason)

    def _begin(self, again: Listener | None = None) -> None:
        """Begin to connect a client: a new one, or one whose connection has ended."""
        self._pending -= again is None
        family, kind, protocol, _, address = self._address
        try:
            client = socket.socket(family, kind, protocol)
        except OSError as error:
            if again is not None:
                self._come_back(again)
                return
            self._failed += 1
            self._reason = f"{error.strerror} ({self._failed} clients)"
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = client.connect_ex(address)
        descriptor = client.fileno()
        self._sockets[descriptor] = client
        self._opening.add(descriptor)
        if again is not None:
            self._returning[descriptor] = again
        if code not in (0, errno.EINPROGRESS):
            self._fail(descriptor, os.strerror(code))
            return
        self._poll.register(descriptor, select.EPOLLOUT)

    def _fail(self, descriptor: int, reason: str) -> None:
        """Give up a connection that does not listen yet; a client that has listened tries another one."""
        again = self._returning.get(descriptor)
        if again is not None:
            self._come_back(again)
        else:
            self._failed += 1
            self._reason = reason
        self._drop(descriptor)

    def _come_back(self, listener: Listener) -> None:
        """Have a client connect again, when the service has asked it to, or soon."""
        self._ends += 1
        if listener.close_code != UNAUTHORIZED:
            seconds = RETRY_SECONDS if listener.retry_seconds is None else listener.retry_seconds
            heappush(self._waiting, (time.monotonic() + seconds, self._ends, listener))

    def _begin_those_due(self) -> float:
        """Connect those again whose time has come; return in how many seconds that of the next one comes."""
        while self._waiting and len(self._opening) < IN_FLIGHT:
            seconds = self._waiting[0][0] - time.monotonic()
            if seconds > 0:
                return seconds
            self._begin(heappop(self._waiting)[2])
        return RETRY_SECONDS if self._waiting else float("inf")

    def _drop(self, descriptor: int) -> None:
        self._opening.discard(descriptor)
        self._listeners.pop(descriptor, None)
        self._returning.pop(descriptor, None)
        with contextlib.suppress(FileNotFoundError, KeyError):
            self._poll.unregister(descriptor)
        self._sockets.pop(descriptor).close()

    def run(self) -> Result:
        """Read events until told to finish, then until every client has the last one or the time is up."""
        self._poll.register(0, select.EPOLLIN | select.EPOLLHUP)
        finish: Finish | None = None
        while finish is None:
            if self._turn(1.0):
                line = sys.stdin.buffer.readline()
                finish = msgspec.json.decode(line, type=Finish) if line else Finish(0, 0)
        self._poll.unregister(0)
        deadline = time.monotonic() + finish.wait_seconds
        while time.monotonic() < deadline and any(
            listener.sequence < finish.last_sequence for listener in self._all if listener.close_code != UNAUTHORIZED
        ):
            self._turn(0.1)
        return self._result(finish.last_sequence)

    def _result(self, last: int) -> Result:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Result(
            deliveries=self._tally.deliveries,
            complete=sum(listener.received == last for listener in self._all),
            missing=sum(last - listener.received for listener in self._all),
            repeated=self._tally.repeated,
            bytes=self._tally.bytes,
            buckets=self._buckets(),
            largest_ns=self._tally.largest_ns,
            closed=dict(self._closed),
            resumed=self._tally.resumed,
            gaps=self._tally.gaps,
            away=sum(listener.stage is not Stage.LISTENING for listener in self._all),
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )

    def _buckets(self) -> dict[int, int]:
        buckets: Counter[int] = Counter()
        for steps, count in self._tally.steps.items():
            buckets[bucket_of((steps << STEP_BITS) + (1 << STEP_BITS - 1))] += count
        return dict(buckets)

    def _turn(self, timeout: float) -> bool:
        """Handle the ready sockets; return True if standard input has something to read."""
        is_told = False
        for descriptor, _ in self._poll.poll(min(timeout, self._begin_those_due())):
            if descriptor == 0:
                is_told = True
            elif descriptor in self._listeners:
                self._read(descriptor, self._listeners[descriptor])
            elif descriptor in self._sockets:
                self._upgrade(descriptor)
        return is_told

    def _upgrade(self, descriptor: int) -> None:
        client = self._sockets[descriptor]
        code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(descriptor, os.strerror(code))
            return
        client.send(self._request)
        again = self._returning.get(descriptor)
        if again is not None:
            again.begin_again()
        self._listeners[descriptor] = again or Listener(self._tally)
        self._poll.modify(descriptor, select.EPOLLIN)

    def _read(self, descriptor: int, listener: Listener) -> None:
        client = self._sockets[descriptor]
        try:
            data = client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            self._reason = error.strerror
        before = listener.stage
        answer = listener.feed(data, time.monotonic_ns()) if data else b""
        if before is Stage.UPGRADING and listener.stage is Stage.GREETED:
            answer += self._subscribe(listener)
        if not data or listener.stage is Stage.ENDED:
            self._ended(descriptor, listener)
            return
        if answer:
            client.send(answer)
        if listener.stage is Stage.LISTENING and descriptor in self._opening:
            self._opening.discard(descriptor)
            if self._returning.pop(descriptor, None) is None:
                self._all.append(listener)

    def _subscribe(self, listener: Listener) -> bytes:
        after = listener.resumes_after
        resuming = {} if after is None else {"after": after.decode()}
        payload = msgspec.json.encode({"action": "subscribe", "channels": [self._task.channel], **resuming})
        return bytes([0x81, 0x80 | len(payload)]) + MASK + payload

    def _ended(self, descriptor: int, listener: Listener) -> None:
        if descriptor in self._opening:
            reason = "refused" if listener.close_code is None else f"closed with {listener.close_code}"
            self._fail(descriptor, reason)
        else:
            self._closed[listener.close_code or 1006] += 1
            listener.stage = Stage.ENDED
            self._come_back(listener)
            self._drop(descriptor)


def main() -> None:
    """Carry out one task. Ignores Ctrl-C: the measuring process handles it by closing standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    line = sys.stdin.buffer.readline()
    if not line:
        return
    crowd = ClientPool(msgspec.json.decode(line, type=Task))
    _answer(crowd.open())
    _answer(crowd.run())


def _answer(message: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
