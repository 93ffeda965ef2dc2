"""Processes, sockets and locks of the machine: psutil, and ``/proc`` for what psutil lacks. Blocks.

What may not be looked at, such as another user's process, is None: never an error, never a guess.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from swimctl.doctor.probes.sock_diag import as_in_proc, tcp_sockets

LISTENING = "0A"
_PROC = Path("/proc")
UNSEEN = "a process that can't be looked at"
_UNLIMITED = 2**63 - 1
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_DELETED = " (deleted)"
LOCK_NAME = "swim.lock"
_LOCK = re.compile(r"\d+: (\S+)\s+\S+\s+\S+\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s")


class Listener(NamedTuple):
    """A listening socket."""

    address: str
    """In hexadecimal, as the kernel writes it; all zeros: every address."""
    inode: str


class DescriptorUse(NamedTuple):
    """A process's file descriptors."""

    soft: int
    hard: int
    open: int | None


class AddressSpace(NamedTuple):
    """How much address space a process uses, and may use."""

    used: int
    limit: int


class ProcFs:
    """One machine, seen through its ``/proc``."""

    def __init__(self, proc: Path = _PROC) -> None:
        self.proc = proc

    def state(self, pid: int) -> str | None:
        """Return psutil's status, ``sleeping``, ``stopped`` …; None if there is no such process."""
        try:
            return str(psutil.Process(pid).status())
        except psutil.Error:
            return None

    def name(self, pid: int) -> str:
        """Return the process's short name, never its arguments: they may hold secrets."""
        try:
            return psutil.Process(pid).name() or UNSEEN
        except psutil.Error:
            return UNSEEN

    def has_open(self, pid: int, path: Path) -> bool | None:
        """Return True if a process has this very file open."""
        try:
            wanted = path.stat()
            return any(_is_same(found, wanted) for found in self._files(pid))
        except OSError:
            return None

    def openers(self, path: Path) -> list[int]:
        """List the processes that have a file open, as far as they are visible."""
        return [pid for pid in psutil.pids() if self.has_open(pid, path)]

    def links(self, pid: int) -> list[str]:
        """Return the targets of a process's descriptors, as the kernel writes them; empty if they are hidden."""
        found = []
        with contextlib.suppress(OSError):
            for entry in self._descriptors(pid):
                with contextlib.suppress(OSError):  # closed since it was listed
                    found.append(str(entry.readlink()))
        return found

    def home_of(self, pid: int) -> Path | None:
        """Return the home a process serves: it has the lockfile open, deleted or not. None: not a swimctl, or hidden.

        Only a Python process counts: an editor may have the file open too.
        """
        if "python" not in self.program(pid) and "swimctl" not in self.program(pid):
            return None
        for link in self.links(pid):
            path = Path(link.removesuffix(_DELETED))
            if path.name == LOCK_NAME and path.is_absolute():
                return path.parent
        return None

    def daemons(self) -> list[tuple[int, Path]]:
        """List the visible daemons on this machine with their homes: the processes that have a lockfile open."""
        found = [(pid, home) for pid in psutil.pids() if (home := self.home_of(pid)) is not None]
        return [(pid, home) for pid, home in found if pid != os.getpid()]

    def daemons_started_in(self, home: Path) -> list[tuple[int, Path]]:
        """List the daemons whose home had this name at their start and has another now, with that."""
        named = f"SWIM_HOME={home}"
        return [
            (pid, now) for pid, now in self.daemons()
            if now != home and named in (self._read(f"{pid}/environ") or "").split("\0")
        ]  # fmt: skip

    def keepers_of_deleted(self, path: Path) -> list[int]:
        """Return the processes that have a former file of this name open, deleted or replaced since."""
        return [pid for pid in psutil.pids() if pid != os.getpid() and f"{path}{_DELETED}" in self.links(pid)]

    def working_folder(self, pid: int) -> str | None:
        """Return a process's working folder, as the kernel writes it; None if it is hidden."""
        try:
            return str((self.proc / str(pid) / "cwd").readlink())
        except OSError:
            return None

    def program(self, pid: int) -> str:
        """Return the name of a process's executable file; empty if it is hidden."""
        try:
            return (self.proc / str(pid) / "exe").readlink().name
        except OSError:
            return ""

    def user_name(self, uid: int) -> str:
        """Return a user's name, or the number if it has none."""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"#{uid}"

    def user(self, pid: int) -> int | None:
        """Return the effective user of a process."""
        match = re.search(r"^Uid:\s+\d+\s+(\d+)", self._read(f"{pid}/status") or "", re.MULTILINE)
        return int(match[1]) if match is not None else None

    def catches(self, pid: int, number: int) -> bool:
        """Return True if a process has a handler for a signal, so that the signal neither ends it nor is ignored."""
        match = re.search(r"^SigCgt:\s+([0-9a-f]+)$", self._read(f"{pid}/status") or "", re.MULTILINE)
        return match is not None and bool(int(match[1], 16) >> (number - 1) & 1)

    def has_terminal(self, pid: int) -> bool:
        """Return True if a process has a controlling terminal (proc(5), ``tty_nr``)."""
        fields = (self._read(f"{pid}/stat") or "").rpartition(")")[2].split()
        return len(fields) > 4 and fields[4] != "0"

    def lock_holders(self, path: Path) -> list[int]:
        """List the processes that hold the ``flock`` of a file, according to the kernel."""
        try:
            found = path.stat()
        except OSError:
            return []
        device = (os.major(found.st_dev), os.minor(found.st_dev))
        holders = []
        for line in (self._read("locks") or "").splitlines():
            match = _LOCK.match(line)
            if match is not None and match[1] == "FLOCK" and int(match[2]) > 0:
                where = ((int(match[3], 16), int(match[4], 16)), int(match[5]))
                holders += [int(match[2])] if where == (device, found.st_ino) else []
        return holders

    def listeners(self, port: int) -> list[Listener] | None:
        """List the sockets listening on a TCP port in this network namespace; None if they are hidden."""
        if self.proc == _PROC:
            with contextlib.suppress(OSError):  # a kernel without sock_diag
                found = tcp_sockets(1 << int(LISTENING, 16), local_port=port)
                return [Listener(as_in_proc(each.local), each.inode) for each in found]
        return self._listeners_in_text(port)

    def _listeners_in_text(self, port: int) -> list[Listener] | None:
        texts = [text for text in (self._read("net/tcp"), self._read("net/tcp6")) if text is not None]
        if not texts:
            return None
        found = []
        for line in "\n".join(texts).splitlines():
            if f" {LISTENING} " not in line:  # thousands of connections
                continue
            fields = line.split()
            address, _, hexadecimal = fields[1].partition(":") if len(fields) > 9 else ("", "", "")
            if hexadecimal and fields[3] == LISTENING and int(hexadecimal, 16) == port:
                found.append(Listener(address, fields[9]))
        return found

    def sockets(self, pid: int) -> set[str] | None:
        """List the inodes of a process's sockets."""
        found = set()
        try:
            for entry in self._descriptors(pid):
                with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                    match = _SOCKET.fullmatch(str(entry.readlink()))
                    found |= {match[1]} if match is not None else set()
        except OSError:
            return None
        return found

    def socket_owner(self, inode: str) -> int | None:
        """Find a process that has a socket."""
        return next((pid for pid in psutil.pids() if inode in (self.sockets(pid) or ())), None)

    def is_same_network(self, pid: int) -> bool | None:
        """Return True if a process is in the same network namespace as this one."""
        try:
            ours, theirs = ((self.proc / str(each) / "ns/net").readlink() for each in ("self", pid))
        except OSError:
            return None
        return ours == theirs

    def descriptors(self, pid: int) -> DescriptorUse | None:
        """Return limits and number of a process's file descriptors; None if the limits are hidden."""
        try:
            process = psutil.Process(pid)
            soft, hard = (_UNLIMITED if each < 0 else each for each in process.rlimit(psutil.RLIMIT_NOFILE))
        except psutil.Error:
            return None
        try:
            return DescriptorUse(soft, hard, process.num_fds())
        except psutil.Error:
            return DescriptorUse(soft, hard, None)

    def file_bytes(self, pid: int) -> int | None:
        """Return how large a file written by a process may become; None: unlimited, or hidden."""
        try:
            soft, _ = psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE)
        except psutil.Error:
            return None
        return None if soft < 0 or soft >= _UNLIMITED else int(soft)

    def hard_limit(self, pid: int, name: str) -> int | None:
        """Return a process's hard limit, of ``RLIMIT_FSIZE`` say; None: unlimited, or hidden."""
        try:
            _, hard = psutil.Process(pid).rlimit(getattr(psutil, name))
        except psutil.Error:
            return None
        return None if hard < 0 or hard >= _UNLIMITED else int(hard)

    def address_space(self, pid: int) -> AddressSpace | None:
        """Return how much address space a process uses of its limit (``ulimit -v``); None: no limit, or hidden."""
        try:
            process = psutil.Process(pid)
            soft, _ = process.rlimit(psutil.RLIMIT_AS)
            used = int(process.memory_info().vms)
        except psutil.Error:
            return None
        return None if soft < 0 or soft >= _UNLIMITED else AddressSpace(used, int(soft))

    def own_descriptors(self) -> DescriptorUse | None:
        """Return the same for this process."""
        return self.descriptors(os.getpid())

    def may_raise_limits(self) -> bool:
        """Return True if this process may raise another's limits: CAP_SYS_RESOURCE."""
        match = re.search(r"^CapEff:\s+([0-9a-f]+)$", self._read("self/status") or "", re.MULTILINE)
        return match is not None and bool(int(match[1], 16) >> 24 & 1)

    def log_target(self, pid: int, number: int = 2) -> str | None:
        """Return where a process's standard error goes: a path, ``pipe:[…]``, with `` (deleted)`` if so."""
        try:
            return str((self.proc / str(pid) / "fd" / str(number)).readlink())
        except OSError:
            return None

    def port_trouble(self, host: str, port: int) -> str | None:
        """Try to bind an address for an instant; return the system's error, or None if it is free."""
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                with socket.socket(family, kind, protocol) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
                    probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _files(self, pid: int) -> Iterator[os.stat_result]:
        for entry in self._descriptors(pid):
            try:
                yield entry.stat()
            except OSError:
                continue  # closed since it was listed, or of a kind that has no file

    def _descriptors(self, pid: int) -> list[Path]:
        return list((self.proc / str(pid) / "fd").iterdir())

    def _read(self, name: str) -> str | None:
        try:
            return (self.proc / name).read_text("utf-8", "replace")
        except OSError:
            return None


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
