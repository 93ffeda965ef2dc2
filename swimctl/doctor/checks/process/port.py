"""The port: used only by the daemon, or free for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swimctl.doctor.check import Answer, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.neighbours import NOBODY, about_port, described, look_at
from swimctl.doctor.probes.second_look import twice

if TYPE_CHECKING:
    from swim_server.daemon.lockfile import LockInfo

    from swimctl.doctor.context import DoctorContext


async def port_is_ours(context: DoctorContext) -> Answer:
    """Check that only the running process listens on its port, or, if none runs, that the configured port is free."""
    return await twice(context, lambda: _look(context), "lock.")


async def _look(context: DoctorContext) -> Answer:
    if not await context.is_held():
        return await _configured_port_is_free(context)
    info = await context.lock()
    if info is None or info.url is None:
        return skip("one process on the port", "the daemon does not listen yet")
    return await asyncio.to_thread(_listens_alone, context, info, info.url)


async def _configured_port_is_free(context: DoctorContext) -> Answer:
    server = (await context.loaded()).config.server
    return await asyncio.to_thread(_judge_configured, context, server.host, server.port)


def _judge_configured(context: DoctorContext, host: str, port: int) -> Answer:
    expected, machine = f"{host}:{port} is free to listen on", context.procfs
    problem = machine.port_trouble(host, port)
    if problem is None:
        return ok(expected, "free")
    listeners = machine.listeners(port) or []
    owners = [pid for each in listeners if (pid := machine.socket_owner(each.inode)) is not None]
    pids = list(dict.fromkeys(owners))
    if not pids:
        reason = f"can't be used: {problem}"
        look = [inspect(f"ss -ltnp sport = :{port}"), inspect("swimctl config show --origin")]
        return fail(expected, reason, advice=look)
    return fail(expected, f"taken by {described(machine, pids)}", advice=about_port(context, host, port, pids))


LOOPBACKS = frozenset({"0100007F", "00000000000000000000000001000000"})
"""127.0.0.1 and ::1, as the kernel writes them on a little-endian machine."""


def _is_localhost(address: str) -> bool:
    """Return True if a listener receives clients that connect to localhost."""
    return address in LOOPBACKS or not address.strip("0")


def _listens_alone(context: DoctorContext, info: LockInfo, url: str) -> Answer:
    port, machine = urlsplit(url).port or 80, context.procfs
    expected = f"pid {info.pid}, and no other process, listens on port {port}"
    ours, listeners = machine.sockets(info.pid), machine.listeners(port)
    if ours is None or listeners is None:
        return skip(expected, "only the daemon's own user, or root, may look at its sockets")
    if machine.is_same_network(info.pid) is False:
        return skip(expected, "the daemon is in another network namespace")
    addresses = {each.address for each in listeners if each.inode in ours}
    look = [inspect(f"ss -ltnp sport = :{port}"), inspect("swimctl logs")]
    if not addresses:
        return fail(expected, f"pid {info.pid} does not listen there", advice=look)
    foreign = [each for each in listeners if each.inode not in ours and each.address in addresses]
    owners = {pid for each in foreign if (pid := machine.socket_owner(each.inode)) is not None}
    others = sorted(pid for pid in owners if not machine.has_open(pid, context.home.lockfile))
    if foreign and (others or not owners):  # a process that shares the lock is the previous or next daemon
        who = described(machine, others) if others else NOBODY
        observed = f"{who} listens there too and takes some of the clients"
        return fail(expected, observed, advice=look_at(others) or look[:1])
    elsewhere = [each for each in listeners if each.inode not in ours and _is_localhost(each.address)]
    strangers = sorted({pid for each in elsewhere if (pid := machine.socket_owner(each.inode)) is not None})
    strangers = [pid for pid in strangers if not machine.has_open(pid, context.home.lockfile)]
    if strangers:
        observed = f"{described(machine, strangers)} listens on the same port of another address of this machine"
        return warn(
            expected, f"{observed}: a client that connects to localhost may get that one", advice=look_at(strangers)
        )
    return ok(expected, f"pid {info.pid} listens alone")
