"""The proxy in front: whether it reports client addresses, and whether its old processes end."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from swim_server.keys.permissions import is_within

from swimctl.doctor.check import Advice, Answer, decide, fail, inspect, ok, skip, unknown, warn
from swimctl.doctor.probes.daemon_facts import expecting
from swimctl.doctor.probes.forged_visit import FORGED_ADDRESS, ForgedVisit, forged_visit
from swimctl.doctor.probes.kernel_sockets import proxies_here
from swimctl.doctor.probes.plain_http import proxy_name
from swimctl.doctor.probes.tallies import busiest_proxy
from swimctl.text import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swim_server.daemon.control.documents.diagnostics import PeerTally

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.kernel_sockets import ProxyProcess

EXPECTED = "the process knows clients' real addresses, whatever they claim"
LINES = {
    "nginx": "proxy_set_header X-Forwarded-For $remote_addr;",
    "apache": "RequestHeader unset X-Forwarded-For early",
    "caddy": "header_up X-Forwarded-For {remote_host}",
    "lighttpd": 'setenv.set-request-header = ( "X-Forwarded-For" => "" )',
    "varnish": "set req.http.X-Forwarded-For = client.ip;",
    "haproxy": "http-request set-header X-Forwarded-For %[src]",
}
"""By proxy: the line that makes it name the client itself, instead of repeating the client's claim."""


async def check_address(context: DoctorContext) -> Answer:
    """Check with a forged header which client address the process believes."""
    visit = await forged_visit(context)
    if visit.trouble is not None or visit.believed is None:
        return unknown(EXPECTED, visit.trouble or "the running process didn't tell")
    return judge(visit, (await context.loaded()).config.server.trusted_proxies)


def judge(visit: ForgedVisit, trusted_proxies: Sequence[str]) -> Answer:
    """Evaluate the outcome of a forged visit."""
    if any(ip_network(each, strict=False).prefixlen == 0 for each in trusted_proxies):
        seen = "[server] trusted_proxies trusts every address: each client can say where it comes from"
        command = "swimctl config set server.trusted_proxies 127.0.0.1,::1 && swimctl restart"
        return fail(EXPECTED, seen, fix=decide(command, "these are the addresses of your proxies"))
    if visit.is_direct:
        return ok(EXPECTED, f"no proxy stands between; the process sees {visit.peer}")
    if visit.believed == FORGED_ADDRESS:
        seen = f"a client can say where it comes from: {FORGED_ADDRESS}, which doctor made up, was believed"
        consequence = "allow-lists of keys and the limit on bad keys can be got round"
        return fail(EXPECTED, seen, consequence, fix=_line(visit.proxy))
    if visit.believed != visit.peer:
        return ok(EXPECTED, f"it sees {visit.believed} behind {visit.peer}, and not the forged address")
    if visit.own == visit.peer:
        return unknown(EXPECTED, f"doctor and the proxy both come from {visit.peer}: ask from another machine")
    seen = f"all clients count as one: the process sees {visit.peer}, which is the proxy"
    if is_within(visit.peer or "", tuple(trusted_proxies)):
        return warn(EXPECTED, seen, "the proxy does not name them", fix=_line(visit.proxy))
    trusted = ",".join([*trusted_proxies, visit.peer or ""])
    command = f"swimctl config set server.trusted_proxies {trusted} && swimctl restart"
    fix = decide(command, f"{visit.peer} is your proxy, and names its clients itself")
    return warn(EXPECTED, seen, "it is none of [server] trusted_proxies", fix=fix)


def _line(proxy: str | None) -> Advice:
    line = "; ".join(f"{name}: {line}" for name, line in LINES.items())
    if proxy is not None:
        line = f"{LINES[proxy]}  # {proxy}"
    return decide(line, "a line of the proxy's configuration")


OLD_EXPECTED = "a proxy's old processes end within an hour of its reload"
OLD_SECONDS = 3600.0
ABOUT_OLD = {
    "apache": "each takes one of ServerLimit's places: the error log says «scoreboard is full» when none is left",
    "nginx": "each keeps its memory; worker_shutdown_timeout would cut their connections at once",
    "haproxy": "each keeps its memory; hard-stop-after would cut their connections at once",
}


RELOADED_WITHIN_SECONDS = {"apache": 86_400.0, "nginx": 60 * 86_400.0, "haproxy": 60 * 86_400.0}
"""By proxy: within what time it is reloaded. Debian rotates Apache's log daily; certificates last 90 days."""


@expecting(OLD_EXPECTED)
async def check_old_processes(context: DoctorContext) -> Answer:
    """Check for replaced proxy processes that stay alive because of connections to the service."""
    max_hours = (await context.loaded()).config.server.max_connection_hours
    found = await proxies_here(context)
    if found is not None and any(each.connections for each in found):
        return judge_processes(found, context.now, max_hours)
    peer = await busiest_proxy(context)
    if peer is None:
        return skip(OLD_EXPECTED, "no client comes through one of [server] trusted_proxies")
    if (name := await proxy_name(context)) is None:
        unseen = "its sockets can't be looked at: only by root" if found is None else "none of its processes is here"
        return skip(OLD_EXPECTED, f"what stands at {peer.address} does not name itself, and {unseen}")
    return judge_oldest(name, peer, max_hours)


def judge_oldest(proxy: str, peer: PeerTally, max_hours: float) -> Answer:
    """Evaluate a proxy whose processes can't be seen: they last as long as their oldest connection."""
    lasted = f"{proxy} at {peer.address}: its oldest connection has lasted {duration(peer.oldest_seconds)}"
    if proxy not in RELOADED_WITHIN_SECONDS:
        return ok(OLD_EXPECTED, f"{proxy} leaves no process behind at a reload")
    if max_hours:
        return ok(OLD_EXPECTED, f"{lasted}; [server] max_connection_hours = {max_hours:g} ends it")
    if peer.oldest_seconds < RELOADED_WITHIN_SECONDS[proxy]:
        return ok(OLD_EXPECTED, lasted)
    seen = f"{lasted}; every reload since then has left a process behind for those that are older"
    return warn(OLD_EXPECTED, seen, ABOUT_OLD[proxy], advice=[_limit_stays()])


def _limit_stays() -> Advice:
    return decide(
        "swimctl config set server.max_connection_hours 24 && swimctl restart",
        "from then on each client is asked once a day to reconnect (1012), which some old clients treat as final",
    )


def judge_processes(found: Sequence[ProxyProcess], now: float, max_hours: float) -> Answer:
    """Evaluate a proxy's processes: one is old if it no longer listens while others of its name do."""
    ours = {each.proxy for each in found if each.connections}
    if not ours:
        return skip(OLD_EXPECTED, "no proxy on this machine has connections to the service")
    old = [
        each for each in found
        if each.connections and not each.is_listening
        and any(other.is_listening for other in found if other.proxy == each.proxy)
    ]  # fmt: skip
    if not old:
        return ok(OLD_EXPECTED, f"{', '.join(sorted(ours))}: there are none")
    proxy = old[0].proxy
    since = now - _replaced_at(old, found, now)
    clients = plural(sum(each.connections for each in old), "connection")
    seen = f"{plural(len(old), 'old process', 'old processes')} of {proxy} live on for {clients}, {duration(since)} now"
    if max_hours:
        return ok(OLD_EXPECTED, f"{seen}; [server] max_connection_hours = {max_hours:g} ends them")
    if since < OLD_SECONDS:
        return ok(OLD_EXPECTED, seen)
    once = decide("swimctl restart", "only this once: every client reconnects, and these processes end")
    look = inspect(f"ps -o pid,lstart,args -p {','.join(str(each.pid) for each in old)}")
    about = [ABOUT_OLD[proxy]] if proxy in ABOUT_OLD else []
    return warn(OLD_EXPECTED, seen, *about, advice=[look, _limit_stays(), once])


def _replaced_at(old: Sequence[ProxyProcess], found: Sequence[ProxyProcess], now: float) -> float:
    """Return when the processes were replaced: the start of the first one newer than all old ones."""
    newest = max(each.started for each in old)
    return min((each.started for each in found if each.is_listening and each.started > newest), default=now)
