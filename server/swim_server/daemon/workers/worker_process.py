"""One worker as its primary sees it: the process, both sockets, what it holds and what it has reported."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

import swim_server
from swim_server.daemon.handover.program import INSTALLED_IN
from swim_server.workers.descriptors import DescriptorChannel, descriptor_pair
from swim_server.workers.link import Link
from swim_server.workers.messages import Opened
from swim_server.workers.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.concurrency.clock import Clock
    from swim_server.config import Config

VARIABLE = "_SWIM_WORKER"
"""Environment variable with the ``WorkerOffer`` for a new process."""
SILENT_SECONDS = 3.0
"""A worker of which nothing was heard for this long is shown as silent, and given no connections."""
END_SECONDS = 2.0
"""How long a process may take to end after its link is lost, before it is killed."""

State = Literal["starting", "ready", "leaving", "gone"]


class WorkerOffer(msgspec.Struct, frozen=True):
    """What a worker inherits: the descriptors of its two sockets; and which one it is."""

    link: int
    descriptors: int
    number: int


class WorkerProcess:
    """Belongs to the primary's loop."""

    def __init__(
        self,
        number: int,
        process: subprocess.Popen[bytes],
        link: Link,
        descriptors: DescriptorChannel,
        clock: Clock,
    ) -> None:
        self.number = number
        self.process = process
        self.link = link
        self.descriptors = descriptors
        self.state: State = "starting"
        self.capacity = 0
        """The maximum number of connections; it has reported it when it is ready."""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unusable: str | None = None
        """Why it will not serve, as it has said."""
        self.config: Config | None = None
        """What it runs with."""
        self.report = Report()
        self.sent = 0
        """Descriptors handed over to it."""
        self.opened = Opened(0, 0)
        self.places: Counter[tuple[str, int]] = Counter()
        """Places of its clients, by tier and key."""
        self.events_before = 0
        """Events that were told before it began to follow."""
        self.started_at = clock.monotonic()
        self._monotonic = clock.monotonic
        self._heard_at = clock.monotonic()

    @classmethod
    async def start(
        cls,
        number: int,
        clock: Clock,
        on_failure: Callable[[BaseException], None],
        receive: Callable[[int, bytes], None],
    ) -> WorkerProcess:
        """Start the process and connect to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            near, far = descriptor_pair()
            with far:
                try:
                    child = _start(WorkerOffer(theirs.fileno(), far.fileno(), number))
                except OSError:
                    ours.close()
                    near.close()
                    raise
        link = Link(on_failure)
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=ours)
        return cls(number, child, link, DescriptorChannel(near, receive), clock)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def open(self) -> int:
        """The connections that it has, and those on the way to it."""
        return self.opened.open + self.sent - self.opened.received

    @property
    def uptime_seconds(self) -> float:
        """How long ago it was started."""
        return self._monotonic() - self.started_at

    @property
    def silent_seconds(self) -> float:
        """How long nothing was heard of it."""
        return self._monotonic() - self._heard_at

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds > SILENT_SECONDS

    @property
    def is_able(self) -> bool:
        """Whether it can be given another connection."""
        return (
            self.state == "ready" and not self.is_silent and self.open < self.capacity and not self.descriptors.is_full
        )

    def heard(self) -> None:
        """Note that it lives."""
        self._heard_at = self._monotonic()

    def reported(self, report: Report) -> None:
        """Take its report."""
        self.heard()
        self.report = report

    def told_opened(self, opened: Opened) -> None:
        """Take its count of connections."""
        self.heard()
        self.opened = opened

    def give(self, connection: socket.socket) -> None:
        """Hand a connection over; it is closed here."""
        self.sent += 1
        self.descriptors.send(connection.detach())

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self) -> int:
        """Wait until the process has ended, after its link was closed; return its exit code."""
        self.descriptors.close()
        try:
            return await asyncio.to_thread(self.process.wait, END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return await asyncio.to_thread(self.process.wait)


def _start(offer: WorkerOffer) -> subprocess.Popen[bytes]:
    """Start the program; its arguments tell workers apart in a process list."""
    words = [sys.executable, "-P", "-m", "swim_server.daemon.workers", f"worker-{offer.number}", f"of-{os.getpid()}"]
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[offer.link, offer.descriptors],
        env={**os.environ, **_search_path(), VARIABLE: msgspec.json.encode(offer).decode()},
    )


def _search_path() -> dict[str, str]:
    """Return the variable with which the new process finds the code that this one runs."""
    folder = Path(swim_server.__file__).absolute().parents[1]
    known = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each and each != str(folder)]
    return {} if folder.name in INSTALLED_IN else {"PYTHONPATH": os.pathsep.join([str(folder), *known])}
