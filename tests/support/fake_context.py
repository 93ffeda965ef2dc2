"""A context whose facts are set by the test: the process's answers, the files on disk, the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swim_server.config import Config, LoadedConfig
from swim_server.daemon.fingerprint import Fingerprint
from swim_server.daemon.lockfile import LockInfo

from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.facts import FactBook
from swimctl.doctor.probes.control_groups import ControlGroups, MemoryGroup, ProcessorLimit
from swimctl.doctor.probes.procfs import AddressSpace, DescriptorUse, Listener, ProcFs
from swimctl.invocation import Invocation

FILES = {"swim_server/logs.py": "a" * 64, "swimctl/app.py": "b" * 64}
ROOTS = {"swim_server": "/srv/swim_server", "swimctl": "/srv/swimctl"}
INFO = LockInfo(
    pid=42, process_started=1.0, host="here", started_at="2026-01-16T14:30:15.000Z", version="1.0.0",
    fingerprint="0123456789ab", url="ws://127.0.0.1:8090/api/swim/v1/ws",
)  # fmt: skip


def version_document(**more: Any) -> dict[str, Any]:
    """Return the answer of a process that runs the code on disk."""
    return {
        "version": "1.0.0", "fingerprint": "0123456789ab", "commit": None, "python": "3.11.7", "pid": 42,
        "files": dict(FILES), "roots": dict(ROOTS), "dependencies": {"msgspec": "0.19"}, **more,
    }  # fmt: skip


def status_document(**more: Any) -> dict[str, Any]:
    """Return the answer of a healthy process."""
    return {
        "pid": 42, "uptime_seconds": 100.0, "memory_bytes": 64 * 2**20, "config_files": [],
        "connections": {"total": 0, "by_tier": {"public": {"current": 0, "limit": 5}}},
        "loop_lag_ms": {"p50": 1.0, "p99": 5.0, "max": 9.0}, **more,
    }  # fmt: skip


class FakeMachine(ProcFs):
    """A machine with one healthy process, 42."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))
        self.states: dict[int, str] = {42: "S"}
        self.names: dict[int, str] = {42: "swimctl"}
        self.open_by: dict[int, bool | None] = {42: True}
        self.holders: list[int] = []
        self.heard: list[Listener] | None = [Listener("0100007F", "7")]
        self.socket_inodes: dict[int, set[str] | None] = {42: {"7"}}
        self.use: dict[int, DescriptorUse] = {42: DescriptorUse(20_000, 20_000, 30)}
        self.bind_error: str | None = None
        self.same_network: bool | None = True
        self.raises_limits = True
        self.target: str | None = "/dev/null"
        self.homes: dict[int, Path] = {}
        self.deleted_keepers: list[int] = []
        self.caught: dict[int, set[int]] = {}
        self.with_terminal: set[int] = set()
        self.users: dict[int, int] = {}
        self.opened: dict[int, list[str]] = {}
        self.hard_limits: dict[str, int] = {}
        self.spaces: dict[int, AddressSpace] = {}

    def state(self, pid: int) -> str | None:
        return self.states.get(pid)

    def name(self, pid: int) -> str:
        return self.names.get(pid, "?")

    def has_open(self, pid: int, path: Path) -> bool | None:
        return self.open_by.get(pid)

    def hard_limit(self, pid: int, name: str) -> int | None:
        return self.hard_limits.get(name)

    def address_space(self, pid: int) -> AddressSpace | None:
        return self.spaces.get(pid)

    def user(self, pid: int) -> int | None:
        return self.users.get(pid)

    def links(self, pid: int) -> list[str]:
        return self.opened.get(pid, [])

    def home_of(self, pid: int) -> Path | None:
        return self.homes.get(pid)

    def keepers_of_deleted(self, path: Path) -> list[int]:
        return self.deleted_keepers

    def catches(self, pid: int, number: int) -> bool:
        return number in self.caught.get(pid, ())

    def has_terminal(self, pid: int) -> bool:
        return pid in self.with_terminal

    def openers(self, path: Path) -> list[int]:
        return [pid for pid, is_open in self.open_by.items() if is_open]

    def lock_holders(self, path: Path) -> list[int]:
        return self.holders

    def listeners(self, port: int) -> list[Listener] | None:
        return self.heard

    def sockets(self, pid: int) -> set[str] | None:
        return self.socket_inodes.get(pid)

    def socket_owner(self, inode: str) -> int | None:
        return next((pid for pid, inodes in self.socket_inodes.items() if inode in (inodes or ())), None)

    def is_same_network(self, pid: int) -> bool | None:
        return self.same_network

    def descriptors(self, pid: int) -> DescriptorUse | None:
        return self.use.get(pid)

    def own_descriptors(self) -> DescriptorUse | None:
        return self.use.get(os.getpid())

    def may_raise_limits(self) -> bool:
        return self.raises_limits

    def port_trouble(self, host: str, port: int) -> str | None:
        return self.bind_error

    def log_target(self, pid: int, number: int = 2) -> str | None:
        return self.target


class FakeGroups(ControlGroups):
    """Control groups set by the test."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"), Path("/nonexistent"))
        self.limit_bytes = 2**30
        self.memory: MemoryGroup | None = None
        self.processor: ProcessorLimit | None = None

    def memory_bytes(self, pid: int) -> int:
        return self.limit_bytes

    def memory_group(self, pid: int) -> MemoryGroup | None:
        return self.memory

    def processor_limit(self, pid: int) -> ProcessorLimit | None:
        return self.processor


class ForgetfulBook(FactBook):
    """Observes again on every request, as a test changes the world in between."""

    async def find(self, name: str, observe: Any, **more: Any) -> Any:
        return await observe()

    def look(self, name: str, observe: Any, **more: Any) -> Any:
        return observe()


class FakeContext(DoctorContext):
    """Facts are attributes; an answer that is an exception is raised."""

    fakes: FakeMachine

    def __init__(self, home: Path, **options: Any) -> None:
        self.fakes = FakeMachine()
        invocation = Invocation(environ={"SWIM_HOME": str(home)})
        super().__init__(invocation, Options(**options), self.fakes, facts=ForgetfulBook())
        self.limits = FakeGroups()
        self.groups = self.limits
        self.load_factor = 1.0
        self.answers: dict[str, Any] = {
            "status": status_document(),
            "version": version_document(),
            "config_changes": {"reload": {}, "restart": {}},
            "config": {},
        }
        self.lock_info: LockInfo | None = INFO
        self.held = True
        self.lives = True
        """The process that the lock names."""
        self.config: Config | Exception = Config()
        self.config_files: tuple[Path, ...] = ()
        self.on_disk = Fingerprint(
            "0123456789ab", dict(FILES), roots=dict(ROOTS), version="1.0.0", python="3.11.7",
            dependencies={"msgspec": "0.19"},
        )  # fmt: skip
        self.elsewhere: Mapping[str, str] = FILES

    async def ask(self, method: str, **params: Any) -> Any:
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def lock(self) -> LockInfo | None:
        return self.lock_info

    async def is_held(self) -> bool:
        return self.held

    def is_process(self, info: LockInfo) -> bool:
        return self.lives

    async def loaded(self) -> LoadedConfig:
        if isinstance(self.config, Exception):
            raise self.config
        return LoadedConfig(self.config, {}, self.config_files)

    async def disk(self) -> Fingerprint:
        return self.on_disk

    async def disk_at(self, roots: Mapping[str, str]) -> dict[str, str]:
        return dict(self.elsewhere)
