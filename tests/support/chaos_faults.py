"""Faults of the environment. Each is chosen by a seeded generator and leaves the daemon to recover."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.chaos_daemon import ChaosDaemon
from support.chaos_traffic import Pace

Fault = Callable[[], Awaitable[None]]


class Faults:
    """The faults there are, by name."""

    def __init__(self, daemon: ChaosDaemon, pace: Pace, rng: random.Random, *, has_small_disk: bool, has_clock: bool):
        self.daemon = daemon
        self.pace = pace
        self.rng = rng
        self.kills = 0
        self.restarts = 0
        self.failed_restarts = 0
        self._held: list[socket.socket] = []
        self.by_name: dict[str, Fault] = {
            "kill": self.kill,
            "kill-at-commit": self.kill_at_commit,
            "kill-at-handover": self.kill_at_handover,
            "kill-at-file": self.kill_at_file,
            "restart": self.restart,
            "stop-start": self.stop_and_start,
            "freeze": self.freeze,
            "slow-reader": self.slow_reader,
            "half-open": self.half_open,
            "torn-record": self.torn_record,
        }
        if has_small_disk:
            self.by_name["disk-full"] = self.fill_disk
        if has_clock:
            self.by_name["clock-step"] = self.step_clock

    async def _off_loop(self, work: Callable[[], object]) -> None:
        await asyncio.to_thread(work)

    async def _revive(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 0.1))
        await self._off_loop(self.daemon.ensure)

    async def kill(self) -> None:
        """Kill the process with SIGKILL at a random moment."""
        await self._off_loop(self.daemon.kill)
        self.kills += 1
        await self._revive()

    async def kill_at_commit(self) -> None:
        """Kill with SIGKILL while a publication is being stored."""
        done = asyncio.Event()
        loop, pid, delay = asyncio.get_running_loop(), self.daemon.pid, self.rng.uniform(0, 0.003)

        def strike() -> None:
            time.sleep(delay)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            loop.call_soon_threadsafe(done.set)

        self.pace.on_publish = lambda: threading.Thread(target=strike).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 5)
        self.pace.on_publish = None
        await self._off_loop(self.daemon.kill)
        self.kills += 1
        await self._revive()

    async def kill_at_handover(self) -> None:
        """Kill the old, the new or both processes with SIGKILL during a handover."""
        restart = asyncio.create_task(asyncio.to_thread(self.daemon.swimctl, "restart"))
        await asyncio.sleep(self.rng.uniform(0.2, 1.6))
        await self._off_loop(self._kill_one_or_all)
        self.kills += 1
        with contextlib.suppress(Exception):
            await restart
        await self._revive()

    def _kill_one_or_all(self) -> None:
        pids = self.daemon._serving_pids()
        for pid in pids if self.rng.random() < 0.5 else self.rng.sample(pids, min(1, len(pids))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon._reap()

    async def kill_at_file(self) -> None:
        """Kill with SIGKILL at the moment when the event file has been taken."""
        folder, name, pid = self.daemon.event_file.parent, self.daemon.event_file.name, self.daemon.pid

        def strike() -> None:
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                taken = [each for each in folder.iterdir() if name in each.name and each.name != name]
                if taken and pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    return

        await self._off_loop(strike)
        await self._off_loop(self.daemon.kill)
        self.kills += 1
        await self._revive()

    async def restart(self) -> None:
        """Run ``swimctl restart``."""
        answer = await asyncio.to_thread(self.daemon.swimctl, "restart")
        self.restarts += 1
        if answer.returncode:
            self.failed_restarts += 1
        await self._revive()

    async def stop_and_start(self) -> None:
        """Run ``swimctl stop``, then ``serve``."""
        await asyncio.to_thread(self.daemon.swimctl, "stop")
        await self._revive()

    async def freeze(self) -> None:
        """Stop the process with SIGSTOP for seconds."""
        self.daemon.signal(signal.SIGSTOP)
        await asyncio.sleep(self.rng.uniform(0.5, 3))
        self.daemon.signal(signal.SIGCONT)

    async def slow_reader(self) -> None:
        """Subscribe a client to everything and never read from it."""
        await self._off_loop(lambda: self._hold(reads=False))

    async def half_open(self) -> None:
        """Open connections that never continue."""
        for _ in range(20):
            await self._off_loop(lambda: self._hold(reads=True))

    def _hold(self, *, reads: bool) -> None:
        with contextlib.suppress(OSError):
            link = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=2)
            if not reads:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.sendall(b"GET /api/swim/v1/ws HTTP/1.1\r\nHost: x\r\n")
            self._held.append(link)
        for old in self._held[:-200]:
            old.close()
        del self._held[:-200]

    async def torn_record(self) -> None:
        """Kill with SIGKILL, and append half a record to history's log, as a torn write does."""
        await self._off_loop(self.daemon.kill)
        self.kills += 1
        log = Path(f"{self.daemon.home.history}-wal")
        if log.exists():
            with log.open("ab") as file:
                file.write(self.rng.randbytes(self.rng.randint(1, 3000)))
        await self._revive()

    async def fill_disk(self) -> None:
        """Fill the disk for some seconds."""
        ballast = self.daemon.home.path / "ballast"

        def fill() -> None:
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()

        await self._off_loop(fill)
        await asyncio.sleep(self.rng.uniform(0.5, 2))
        ballast.unlink(missing_ok=True)

    async def step_clock(self) -> None:
        """Make the clock jump, backward more often than forward."""
        self.daemon.clock_file.write_text(f"{self.rng.choice((-3600, -60, -5, 5, 60)):+d}")
        await asyncio.sleep(0.2)

    def close(self) -> None:
        """Close the connections held."""
        for link in self._held:
            link.close()
