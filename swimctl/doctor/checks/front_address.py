"""Whether the process knows where clients come from behind the public address: what a forged visit tells of it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from swim_server.keys.permissions import is_within

from swimctl.doctor.check import Advice, Answer, decide, fail, ok, unknown, warn
from swimctl.doctor.probes.forged_visit import FORGED_ADDRESS, ForgedVisit, forged_visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swimctl.doctor.context import DoctorContext

EXPECTED = "the process knows clients' real addresses, whatever they claim"
LINES = {
    "nginx": "proxy_set_header X-Forwarded-For $remote_addr;",
    "apache": "RequestHeader unset X-Forwarded-For early",
    "caddy": "header_up X-Forwarded-For {remote_host}",
    "lighttpd": 'setenv.set-request-header = ( "X-Forwarded-For" => "" )',
    "varnish": "set req.http.X-Forwarded-For = client.ip;",
    "haproxy": "http-request set-header X-Forwarded-For %[src]",
}
"""By proxy: what has it name the client itself, in place of what the client says."""


async def check_address(context: DoctorContext) -> Answer:
    """Visit the public address with a forged header, and judge what the process believes."""
    visit = await forged_visit(context)
    if visit.trouble is not None or visit.believed is None:
        return unknown(EXPECTED, visit.trouble or "the running process didn't tell")
    return judge(visit, (await context.loaded()).config.server.trusted_proxies)


def judge(visit: ForgedVisit, trusted_proxies: Sequence[str]) -> Answer:
    """Conclude from what came of a forged visit."""
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
