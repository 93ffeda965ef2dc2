"""A process's sockets according to the kernel: read from /proc, never from the process itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import psutil

from swimctl.doctor.probes.daemon_facts import service_url, status
from swimctl.doctor.probes.sock_diag import tcp_sockets
from swimctl.doctor.probes.wire import Target

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

HELD_STATES = frozenset({"01", "02", "04", "05", "08", "09", "0B"})
"""Established, or closing but still the process's: all except listening, waiting and closed ones."""
LISTENING = "0A"
PROXY_PROGRAMS = {
    "nginx": "nginx",
    "apache2": "apache",
    "httpd": "apache",
    "haproxy": "haproxy",
    "lighttpd": "lighttpd",
    "caddy": "caddy",
    "varnishd": "varnish",
    "cache-main": "varnish",
}
"""The proxy that a process belongs to, by the process's name."""
_PROC = Path("/proc")
_TABLES = ("tcp", "tcp6")


class ProxyProcess(msgspec.Struct, frozen=True):
    """A process of a proxy on this machine, and its relation to a port of the service."""

    pid: int
    proxy: str
    started: float
    """Unix time."""
    connections: int
    """Its connections to the service."""
    is_listening: bool
    """It accepts new connections from anywhere."""
    threads: int = 0
    descriptors: int | None = None
    """How many it may have open."""
    parent: int = 0
    """The pid of its parent."""


class _Row(NamedTuple):
    local: str
    remote: str
    state: str
    inode: str


def count_connections(pid: int, port: int) -> int | None:
    """Count the TCP connections that a process has on ``port``; None if the kernel doesn't show them."""
    held = _sockets_of(pid)
    if held is None:
        return None
    found = _inodes(pid, HELD_STATES, local_port=port)
    return None if found is None else sum(inode in held for inode in found)


async def proxies_here(context: DoctorContext) -> list[ProxyProcess] | None:
    """List the proxy processes on this machine, like ``proxy_processes``. Raises CannotAsk."""
    pid, port = (await status(context)).pid, Target.parse(await service_url(context)).port
    return await context.fact(
        "kernel.proxy-processes", lambda: asyncio.to_thread(proxy_processes, pid, port), "/proc",
        about=f"port {port}", shape=list[ProxyProcess] | None,
    )  # fmt: skip


def proxy_processes(pid: int, port: int) -> list[ProxyProcess] | None:
    """List proxy processes that accept connections, or have some to a daemon's port; None if hidden."""
    if not any(os.access(_PROC / str(pid) / "net" / table, os.R_OK) for table in _TABLES):
        return None
    named = [(number, proxy) for number in psutil.pids() if (proxy := PROXY_PROGRAMS.get(_name_of(number)))]
    if not named:
        return []
    connected, listeners = _inodes(pid, HELD_STATES, remote_port=port), _inodes(pid, frozenset({LISTENING}))
    if connected is None or listeners is None:
        return None
    held, listening = set(connected), set(listeners)
    found = []
    for number, proxy in named:
        sockets = _sockets_of(number)
        if sockets is None:
            return None
        if sockets & (held | listening):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(number)
                found.append(
                    ProxyProcess(
                        number, proxy, process.create_time(), len(sockets & held), bool(sockets & listening),
                        process.num_threads(), _descriptors_of(number), process.ppid(),
                    )
                )  # fmt: skip
    return found


def _name_of(pid: int) -> str:
    """Return a process's short name, as the kernel cuts it; empty if there is no such process any more."""
    try:
        descriptor = os.open(f"/proc/{pid}/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 64).decode("utf-8", "replace").rstrip("\n")
    except OSError:  # it has ended since
        return ""
    finally:
        os.close(descriptor)


def _descriptors_of(pid: int) -> int | None:
    """Return how many descriptors a process may have open; None if hidden or unlimited."""
    try:
        limits = (_PROC / str(pid) / "limits").read_text("ascii")
    except OSError:
        return None
    found = re.search(r"^Max open files +([0-9]+) ", limits, re.MULTILINE)
    return int(found[1]) if found is not None else None


def _inodes(
    pid: int, states: frozenset[str], *, local_port: int | None = None, remote_port: int | None = None
) -> list[str] | None:
    """Return the inodes of the TCP sockets in a process's network namespace that are in one of these states.

    None if the kernel shows none.
    """
    if _is_same_network(pid):
        mask = sum(1 << int(state, 16) for state in states)
        with contextlib.suppress(OSError):  # a kernel without sock_diag
            return [each.inode for each in tcp_sockets(mask, local_port=local_port or 0, remote_port=remote_port or 0)]
    rows = _rows(pid)
    if rows is None:
        return None
    ends = [f":{port:04X}" if port is not None else "" for port in (local_port, remote_port)]
    return [
        row.inode
        for row in rows
        if row.state in states and row.local.endswith(ends[0]) and row.remote.endswith(ends[1])
    ]


def _is_same_network(pid: int) -> bool:
    try:
        ours, theirs = (os.readlink(f"/proc/{each}/ns/net") for each in ("self", pid))  # noqa: PTH115
    except OSError:
        return False
    return ours == theirs


def _rows(pid: int) -> list[_Row] | None:
    """Return the TCP sockets of a process's network namespace; None if the kernel shows none."""
    texts = []
    for table in _TABLES:
        try:
            texts.append((_PROC / str(pid) / "net" / table).read_text("ascii"))
        except OSError:
            continue
    lines = [line.split(None, 10) for text in texts for line in text.splitlines()[1:]]
    return [_Row(fields[1], fields[2], fields[3], fields[9]) for fields in lines] if texts else None


def _sockets_of(pid: int) -> set[str] | None:
    """Return the inodes of a process's sockets."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208  # thousands of them: strings, no Path each
    except OSError:
        return None
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
