"""When nodes closed a revoked key's connections, as they log it themselves, and for how long they could not run."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from support.live_daemon import LiveDaemon
from swim_server.daemon.home import Home

LOG_SECONDS = 30.0
CLOSED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z[^\n]*connections closed[^\n]*key_id=(\d+)\b")


def closed_at(daemon: LiveDaemon, key_id: int) -> float | None:
    """Return when a node has closed a key's connections, by the machine's clock; None: it has not yet."""
    logs = (Home(daemon.home).log, daemon.home / "daemon.log")
    text = "".join(path.read_text("utf-8", "replace") for path in logs if path.exists())
    found = [stamp for stamp, number in CLOSED.findall(text) if int(number) == key_id]
    return datetime.fromisoformat(f"{found[-1]}+00:00").timestamp() if found else None


async def await_closed(daemon: LiveDaemon, key_id: int) -> float:
    """Wait until a node's log has the closing of a key's connections, which it wrote just after; return when it was."""
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        found = await asyncio.to_thread(closed_at, daemon, key_id)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{daemon.home.name} does not say that it closed the connections of key {key_id}")
        await asyncio.sleep(0.05)


class Kept:
    """How long processes were ready to run while others had the processors, since this was made."""

    def __init__(self, pids: Collection[int]) -> None:
        self._before = {pid: _delay(pid) for pid in pids}

    def seconds(self) -> float:
        """Return the longest of them in which one thread waited in each process, in sum: they wait for each other."""
        return (
            sum(
                max((ns - before.get(thread, 0) for thread, ns in _delay(pid).items()), default=0)
                for pid, before in self._before.items()
            )
            / 1e9
        )


def _delay(pid: int) -> dict[str, int]:
    """Return nanoseconds waited for a processor, by thread."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # the thread has ended
            found[path.parent.name] = int(path.read_text("ascii").split()[1])
    return found
