"""The proxy in front: how many connections it carries by default, and how many it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from swimctl.doctor.check import Answer, decide, fail, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import expecting
from swimctl.doctor.probes.kernel_sockets import proxies_here
from swimctl.doctor.probes.plain_http import proxy_name
from swimctl.doctor.probes.tallies import busiest_proxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.kernel_sockets import ProxyProcess

EXPECTED = "the proxy has room for more connections"
NEAR = 0.8
FULL = 0.97
"""Besides tunnels, a proxy serves its site's pages."""
APACHE_WORKERS = 150
APACHE_THREADS = 2.5
"""Threads of an Apache process per worker, at most: mod_http2 has up to one and a half times as many of its own."""
NGINX_PER_WORKER = 768 // 2
USUAL_DESCRIPTORS = 1024
"""A service's limit if nobody has raised it; nginx accepts no more connections than descriptors."""
LIGHTTPD_DESCRIPTORS = (1024, 4096)


class ProxyLimits(NamedTuple):
    """A proxy's default limits."""

    limits: tuple[int, ...]
    why: str
    line: str
    has_spare_workers: bool = False
    """It starts processes before it is full: once it can't, it is full at its limit."""


LINES = {
    "apache": "ServerLimit 128; ThreadLimit 64; ThreadsPerChild 64; MaxRequestWorkers 2048",
    "nginx": "worker_rlimit_nofile 20000; events { worker_connections 8192; }",
    "lighttpd": "server.max-fds = 16384; server.max-connections = 5000",
}
WHY = {
    "apache": "a WebSocket takes one of MaxRequestWorkers: later requests wait, those for pages too",
    "nginx": "a tunnel takes two of worker_connections, one to each side",
    "lighttpd": "a tunnel takes two descriptors, and server.max-connections is a third of server.max-fds",
}


@expecting(EXPECTED)
async def check_capacity(context: DoctorContext) -> Answer:
    """Check that the proxy's connections stay below its default limits."""
    here = await proxies_here(context)
    mine = [each for each in here or () if each.connections]
    if mine:
        processes = one_installation(here or (), max(mine, key=lambda each: each.connections))
        proxy = processes[0].proxy
        return judge(proxy, sum(each.connections for each in processes), room_here(proxy, processes))
    peer = await busiest_proxy(context)
    if peer is None:
        return skip(EXPECTED, "no client comes through one of [server] trusted_proxies")
    name = await proxy_name(context)
    if name is None:
        return skip(EXPECTED, f"what stands at {peer.address} does not name itself, by Server header or otherwise")
    return judge(name, peer.connections, room_elsewhere(name))


def one_installation(processes: Sequence[ProxyProcess], one: ProxyProcess) -> list[ProxyProcess]:
    """Return the processes of one installation: a parent and its children. Others may serve other sites."""
    family = {one.pid, one.parent} if one.parent > 1 else {one.pid}
    return [each for each in processes if each.proxy == one.proxy and (each.pid in family or each.parent in family)]


def room_here(proxy: str, processes: Sequence[ProxyProcess]) -> ProxyLimits | None:
    """Return the limits of a proxy on this machine; None: they have been raised, or it has none."""
    taking = [each for each in processes if each.is_listening]
    descriptors = min((each.descriptors for each in taking if each.descriptors is not None), default=None)
    if proxy == "apache":
        children = [each for each in taking if each.threads > 1]
        most_busy = max((each.connections for each in children), default=0)
        workers = max(sum(each.threads for each in children) / APACHE_THREADS, len(children) * most_busy)
        return ProxyLimits((APACHE_WORKERS,), WHY[proxy], LINES[proxy], True) if workers <= APACHE_WORKERS else None
    if proxy == "nginx" and descriptors is not None and descriptors <= USUAL_DESCRIPTORS:
        workers = max(len(taking) - 1, 1)  # the others' parent listens too
        return ProxyLimits((workers * NGINX_PER_WORKER,), WHY[proxy], LINES[proxy])
    if proxy == "lighttpd" and descriptors is not None:
        return ProxyLimits((descriptors // 3,), WHY[proxy], LINES[proxy])
    return None


def room_elsewhere(proxy: str) -> ProxyLimits | None:
    """Return the default limits of a proxy on another machine, if they do not depend on the machine."""
    limits = {"apache": (APACHE_WORKERS,), "lighttpd": tuple(each // 3 for each in LIGHTTPD_DESCRIPTORS)}.get(proxy)
    return ProxyLimits(limits, WHY[proxy], LINES[proxy]) if limits is not None else None


def judge(proxy: str, connections: int, room: ProxyLimits | None) -> Answer:
    """Evaluate the number of connections: if it exceeds a default limit, the limit has been raised."""
    seen = f"{connections:,} through {proxy}"
    limit = next((each for each in room.limits if connections <= each), None) if room is not None else None
    if room is None or limit is None:
        return ok(EXPECTED, seen)
    if connections < limit * NEAR:
        return ok(EXPECTED, f"{seen}, which carries {limit:,} by default")
    line = decide(room.line, f"lines of {proxy}'s configuration; config/{proxy} has them in their place")
    if room.has_spare_workers and connections >= limit * FULL:
        return fail(EXPECTED, f"{seen}, which carries {limit:,}: it is full", room.why, fix=line)
    return warn(EXPECTED, f"{seen}, which carries {limit:,} unless it has been given more room", room.why, fix=line)
