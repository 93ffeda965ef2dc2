"""What the checks of one run share: each fact is observed once, when the first check asks for it.

Checks see the world only through this module, so that saved observations can be evaluated elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from swimctl.client.answers import read_answer
from swimctl.doctor.facts import FactBook, NotSaved, Work, observing
from swimctl.doctor.probes.control_groups import ControlGroups
from swimctl.doctor.probes.filesystem import FileSystem
from swimctl.doctor.probes.procfs import ProcFs
from swimctl.errors import CommandError

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig
    from swim_server.daemon.control.documents.process import Version
    from swim_server.daemon.control.documents.status import Status
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.daemon.home import Home
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.daemon.start_log import Start

    from swimctl.invocation import Invocation

T = TypeVar("T")

ANSWER_SECONDS = 1.5
"""How long the running process may take to answer: less than a check, so that silence is reported, not cut off."""
QUICK_SECONDS = 0.8
"""How long to wait for an answer that is not essential."""
MARGIN_SECONDS = 0.3
"""Time between the last answer and the end of the run."""
ENDING_SECONDS = 3.0
"""How long the cleanup after the checks may take."""
MOST = 6.0
_LOADAVG = Path("/proc/loadavg")


def load_factor(loadavg: Path = _LOADAVG, cores: int | None = None) -> float:
    """Compute the factor for time limits: 1 if every runnable task has a core, 6 at most.

    It uses the greater of the last minute's load and the number of tasks runnable now, so that a load that has only
    just begun counts too (proc(5), /proc/loadavg).
    """
    cores = cores or len(os.sched_getaffinity(0))
    try:
        fields = loadavg.read_text("ascii").split()
        waiting = max(float(fields[0]), float(fields[3].partition("/")[0]))
    except (OSError, ValueError, IndexError):
        return 1.0
    return min(max(1.0, waiting / cores), MOST)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    is_deep: bool = False
    expect_version: str | None = None
    expect_commit: str | None = None
    timeout_seconds: float | None = None
    """For a slow machine: each check may take this long if its own limit is shorter."""
    url: str | None = None
    """A service on another machine; None: the one of this home."""
    api_key: str | None = None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """When, where and as whom all facts of a run were observed."""

    at: float
    """Unix time."""
    home: Path
    user: int
    load: float
    """The factor by which time limits were extended compared with an idle machine."""


class DoctorContext:
    """One examination of one installation. Facts stay as first observed, so that checks agree with each other."""

    def __init__(
        self,
        invocation: Invocation,
        options: Options,
        procfs: ProcFs | None = None,
        *,
        facts: FactBook | None = None,
        circumstances: Circumstances | None = None,
    ) -> None:
        self.invocation = invocation
        self.options = options
        self.home: Home = invocation.home
        self.facts = facts or FactBook()
        self.circumstances = circumstances or Circumstances(
            at=time.time(), home=self.home.path, user=os.geteuid(), load=load_factor()
        )
        self.procfs = observing(procfs or ProcFs(), "kernel", "/proc", self.facts)
        """Processes, sockets, memory."""
        self.groups = observing(ControlGroups(), "kernel", "/sys/fs/cgroup", self.facts)
        """Limits of control groups."""
        self.files = observing(FileSystem(), "files", "the disk", self.facts)
        """Files, folders, free space."""
        self.deadline: float | None = None
        """When the run ends, by ``time.perf_counter``; set by ``run_checks``."""
        self.load_factor = self.circumstances.load
        """Time limits are multiplied by this on a busy machine."""
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._endings: list[Callable[[], Work[object]]] = []

    @property
    def now(self) -> float:
        """The Unix time of this examination."""
        return self.circumstances.at

    @property
    def utc_now(self) -> datetime:
        """The same as a datetime."""
        return datetime.fromtimestamp(self.now, UTC)

    async def fact(self, name: str, observe: Callable[[], Work[T]], source: str, **more: Any) -> T:
        """Observe something once; a second request gets the same value or error. ``more``: as for ``find``."""
        return await self.facts.find(name, observe, source=source, **more)

    async def shared(self, name: str, make: Callable[[], Work[T]]) -> T:
        """Create something once that several observations use: an open database, a lock. It is not a fact."""
        if name not in self._shared:
            self._shared[name] = asyncio.create_task(make())
        result: T = await asyncio.shield(self._shared[name])
        return result

    def forget(self, *beginnings: str) -> None:
        """Let facts be observed again on the next request, because they may be changing."""
        self.facts.forget(*beginnings)

    async def loaded(self) -> LoadedConfig:
        """Load the configuration on disk with this command's options and environment. Raises ConfigError."""
        from swim_server.config import LoadedConfig

        return await self.fact(
            "config.loaded", lambda: asyncio.to_thread(self.invocation.load_config), "configuration files, environment",
            shape=LoadedConfig, encode=_without_secrets,
        )  # fmt: skip

    async def lock(self) -> LockInfo | None:
        """Read the lockfile."""
        from swim_server.daemon.lockfile import Lockfile, LockInfo

        path = self.home.lockfile
        read = Lockfile(path).read
        return await self.fact("lock.info", lambda: asyncio.to_thread(read), str(path), shape=LockInfo | None)

    async def is_held(self) -> bool:
        """Return True if a process holds the lock."""
        from swim_server.daemon.lockfile import Lockfile

        path = self.home.lockfile
        is_held = Lockfile(path).is_held
        return await self.fact("lock.is-held", lambda: asyncio.to_thread(is_held), f"flock of {path}", shape=bool)

    def is_process(self, info: LockInfo) -> bool:
        """Return True if the process that wrote this lockfile is alive, not another with its pid. Blocks briefly."""
        from swim_server.daemon.process import is_alive

        name = f"pid {info.pid}, started at {info.process_started}"
        return self.facts.look("kernel.lives", lambda: is_alive(info), source="/proc", about=name, shape=bool)

    def is_this_boot(self, boot: str | None) -> bool:
        """Return True if something was written since this machine booted, or if that is unknown."""
        from swim_server.daemon.process import boot_id

        running = self.facts.look("kernel.boot", boot_id, source="/proc/sys/kernel/random/boot_id", shape=str | None)
        return boot is None or running in (None, boot)

    def starts(self) -> list[Start]:
        """Read the log of starts, oldest first. Blocks briefly."""
        from swim_server.daemon.start_log import Start, read_starts

        path = self.home.starts
        return self.facts.look("process.starts", lambda: read_starts(path), source=str(path), shape=list[Start])

    async def disk(self) -> Fingerprint:
        """Compute the fingerprint of the code on disk."""
        from swim_server.daemon.fingerprint import Fingerprint, take_fingerprint

        where = "the source files of this command"
        return await self.fact("code.on-disk", lambda: asyncio.to_thread(take_fingerprint), where, shape=Fingerprint)

    async def disk_at(self, roots: Mapping[str, str]) -> dict[str, str]:
        """Compute the digests of the source files in the given packages' folders."""
        from swim_server.daemon.fingerprint import digests_below

        disk = await self.disk()
        if dict(roots) == disk.roots:
            return disk.files
        where = ", ".join(sorted(roots.values()))
        return await self.fact(
            "code.on-disk", lambda: asyncio.to_thread(digests_below, roots), "source files", about=where,
            shape=dict[str, str],
        )  # fmt: skip

    async def status(self) -> Status:
        """Return the running process's status document. Raises DaemonNotRunning, CommandFailed."""
        from swim_server.daemon.control.documents.status import Status

        return read_answer("status", await self.ask("status"), Status)

    async def version(self) -> Version:
        """Return the code version that the running process recorded at its start. Raises what ``status`` raises."""
        from swim_server.daemon.control.documents.process import Version

        return read_answer("version", await self.ask("version"), Version)

    async def ask(self, method: str, **params: object) -> Any:
        """Call a method of the control socket, once per run. Raises DaemonNotRunning, RpcFailed, CommandFailed."""
        about = ", ".join(f"{name}={value}" for name, value in params.items() if not isinstance(value, dict))
        where = f"{self.home.control_socket}, by the process itself"
        return await self.fact(
            f"process.{method}", lambda: asyncio.to_thread(self._call, method, params), where, about=about
        )

    async def ask_again(self, method: str, **params: object) -> Any:
        """Call a method again even if it was called before, for answers that change during the run."""
        self.forget(f"process.{method}")
        return await self.ask(method, **params)

    async def answered(self, ask: Callable[[], Work[T]]) -> T | None:
        """Ask a process that may be absent; return None if it is absent, silent or slow.

        For checks that can do without the answer: another check reports whether the process answers.
        """
        try:
            async with asyncio.timeout(self.within(QUICK_SECONDS)):
                return await ask() if await self.is_held() else None
        except (CommandError, OSError, NotSaved):  # a timeout is an OSError
            return None

    async def act(self, method: str, **params: object) -> Any:
        """Call a method that has an effect, or whose answer contains a secret; its answer is not a fact."""
        return await asyncio.to_thread(self._call, method, params)

    def at_end(self, undo: Callable[[], Work[object]]) -> None:
        """Register a cleanup for the end of the context, however it ends; the last one registered runs first."""
        self._endings.append(undo)

    def _call(self, method: str, params: Mapping[str, object]) -> Any:
        from swimctl.client.control import ControlClient

        with ControlClient.connect(self.home, timeout=0.0, open_timeout=self.answer_seconds(), light=True) as control:
            return control.call(method, params, timeout=self.answer_seconds())

    def answer_seconds(self) -> float:
        """Return how long the process may take to answer now; its silence must be reported before the run ends."""
        seconds = max(ANSWER_SECONDS * self.load_factor, 0.75 * (self.options.timeout_seconds or 0.0))
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.perf_counter() - MARGIN_SECONDS)
        return max(0.1, seconds)

    def within(self, seconds: float) -> float:
        """Return the time limit of a step that may take this many seconds on an idle machine."""
        return max(seconds * self.load_factor, 0.5 * (self.options.timeout_seconds or 0.0))

    async def close(self) -> None:
        """Cancel pending observations and undo what the checks created. Idempotent."""
        await self.facts.close()
        for task in self._shared.values():
            task.cancel()
        await asyncio.gather(*self._shared.values(), return_exceptions=True)
        deadline = asyncio.get_running_loop().time() + ENDING_SECONDS
        while self._endings:  # must not hang: keys expire, and rows are found next time
            with contextlib.suppress(Exception):
                async with asyncio.timeout_at(deadline):
                    await self._endings.pop()()


def _without_secrets(found: LoadedConfig) -> dict[str, Any]:
    """Return a configuration without its secrets, as it may be written to a file."""
    from swim_server.config.secrets import without_secrets

    return {
        "config": without_secrets(msgspec.to_builtins(found.config)),
        "origins": {name: msgspec.to_builtins(each) for name, each in found.origins.items() if each.kind != "default"},
        "files": [str(path) for path in found.files],
    }
