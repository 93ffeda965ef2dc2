"""What the checks of one run look at: each fact is found out once, when the first check asks, and shared."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from swimctl.client.answers import read_answer
from swimctl.doctor.probes.procfs import ProcFs

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig
    from swim_server.daemon.control.documents.process import Version
    from swim_server.daemon.control.documents.status import Status
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.daemon.home import Home
    from swim_server.daemon.lockfile import LockInfo

    from swimctl.invocation import Invocation

T = TypeVar("T")

ANSWER_SECONDS = 1.5
"""So long the running process may take to answer. Less than a check has, so that its silence is told, not cut off."""
MARGIN_SECONDS = 0.3
"""Between the end of a question and the end of the run."""
ENDING_SECONDS = 3.0
"""So long what the checks made may take to be undone."""
MOST = 6.0
_LOADAVG = Path("/proc/loadavg")


def stretch(loadavg: Path = _LOADAVG, cores: int | None = None) -> float:
    """Compute by how much limits are to be stretched: 1 where each that wants to run has a core, 6 at most.

    What counts is the greater of the last minute's load and the number that want to run at this moment, so that a
    load that has only just begun is seen too (proc(5), /proc/loadavg).
    """
    cores = cores or len(os.sched_getaffinity(0))
    try:
        fields = loadavg.read_text("ascii").split()
        waiting = max(float(fields[0]), float(fields[3].partition("/")[0]))
    except (OSError, ValueError, IndexError):
        return 1.0
    return min(max(1.0, waiting / cores), MOST)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader asked for."""

    is_deep: bool = False
    expect_version: str | None = None
    expect_commit: str | None = None
    timeout_seconds: float | None = None
    """For a machine that is slow: each check may take this long where it would have less."""
    url: str | None = None
    """A service on another machine; None: the one of this home."""
    api_key: str | None = None


class DoctorContext:
    """One look at one installation. Its facts stay as they were first seen, so that checks agree with each other."""

    def __init__(self, invocation: Invocation, options: Options, procfs: ProcFs | None = None) -> None:
        self.invocation = invocation
        self.options = options
        self.procfs = procfs or ProcFs()
        """Processes, sockets, disks."""
        self.home: Home = invocation.home
        self.deadline: float | None = None
        """When the run ends, by ``time.perf_counter``; set by who runs the checks."""
        self._facts: dict[Hashable, asyncio.Task[Any]] = {}
        self.stretch = stretch()
        """On a machine that has more to do than it can, limits are so many times longer."""
        self._endings: list[Callable[[], Coroutine[Any, Any, object]]] = []

    async def fact(self, name: Hashable, find: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Find something out once; whoever asks again gets the same answer, or the same error."""
        if name not in self._facts:
            self._facts[name] = asyncio.create_task(find())
        result: T = await asyncio.shield(self._facts[name])
        return result

    def forget(self, *names: str) -> None:
        """Let facts be found out anew when they are asked for again: for what may just be changing."""
        for known in list(self._facts):
            if (known[0] if isinstance(known, tuple) else known) in names and self._facts[known].done():
                del self._facts[known]

    async def loaded(self) -> LoadedConfig:
        """Load the configuration on disk, as this process's options and environment make it. Raises ConfigError."""
        return await self.fact("loaded", lambda: asyncio.to_thread(self.invocation.load_config))

    async def lock(self) -> LockInfo | None:
        """Read what the lockfile says."""
        from swim_server.daemon.lockfile import Lockfile

        return await self.fact("lock", lambda: asyncio.to_thread(Lockfile(self.home.lockfile).read))

    async def is_held(self) -> bool:
        """Tell whether a process holds the lock."""
        from swim_server.daemon.lockfile import Lockfile

        return await self.fact("is_held", lambda: asyncio.to_thread(Lockfile(self.home.lockfile).is_held))

    def is_process(self, info: LockInfo) -> bool:
        """Tell whether the very process that wrote this lockfile lives, not another with its pid. Blocks briefly."""
        from swim_server.daemon.process import is_alive

        return is_alive(info)

    async def disk(self) -> Fingerprint:
        """Take the fingerprint of the code on disk."""
        from swim_server.daemon.fingerprint import take_fingerprint

        return await self.fact("disk", lambda: asyncio.to_thread(take_fingerprint))

    async def disk_at(self, roots: Mapping[str, str]) -> dict[str, str]:
        """Compute the digests of the source files in some packages' folders."""
        from swim_server.daemon.fingerprint import digests_below

        disk = await self.disk()
        if dict(roots) == disk.roots:
            return disk.files
        name = ("disk", tuple(sorted(roots.items())))
        return await self.fact(name, lambda: asyncio.to_thread(digests_below, roots))

    async def status(self) -> Status:
        """Read the running process's status document. Raises DaemonNotRunning, CommandFailed."""
        from swim_server.daemon.control.documents.status import Status

        return read_answer("status", await self.ask("status"), Status)

    async def version(self) -> Version:
        """Read what code the running process has, as it took it at its start. Raises as ``status``."""
        from swim_server.daemon.control.documents.process import Version

        return read_answer("version", await self.ask("version"), Version)

    async def ask(self, method: str, **params: Any) -> Any:
        """Call a method of the control socket, once in this run. Raises DaemonNotRunning, RpcFailed, CommandFailed."""
        name = (method, msgspec.json.encode(params))
        return await self.fact(name, lambda: asyncio.to_thread(self._call, method, params))

    async def ask_anew(self, method: str, **params: Any) -> Any:
        """Call a method now, whoever called it before: for what changes while one looks."""
        return await asyncio.to_thread(self._call, method, params)

    def at_end(self, undo: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Have something undone when the context ends, however it ends; the last thing first."""
        self._endings.append(undo)

    def _call(self, method: str, params: Mapping[str, Any]) -> Any:
        from swimctl.client.control import ControlClient

        with ControlClient.connect(self.home, timeout=0.0, open_timeout=self.patience()) as control:
            return control.call(method, params, timeout=self.patience())

    def patience(self) -> float:
        """Compute how many seconds a question to the process may take now: its silence is told before the run ends."""
        seconds = max(ANSWER_SECONDS * self.stretch, 0.75 * (self.options.timeout_seconds or 0.0))
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.perf_counter() - MARGIN_SECONDS)
        return max(0.1, seconds)

    def within(self, seconds: float) -> float:
        """Compute how long a step of a check may take that has so many seconds on an idle machine."""
        return max(seconds * self.stretch, 0.5 * (self.options.timeout_seconds or 0.0))

    async def close(self) -> None:
        """End what is still being found out, and undo what the checks have made. Idempotent."""
        for task in self._facts.values():
            task.cancel()
        for task in self._facts.values():
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        deadline = asyncio.get_running_loop().time() + ENDING_SECONDS
        while self._endings:  # a process that hangs, or a database, must not keep us: keys end and rows are found again
            with contextlib.suppress(Exception):
                async with asyncio.timeout_at(deadline):
                    await self._endings.pop()()
