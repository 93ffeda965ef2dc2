"""Plain HTTP at the public address: state, history and streams for clients without WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, decide, inspect, ok, unknown, warn
from swimctl.doctor.probes.plain_http import ask_for_flights

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

EXPECTED = "a request for flights over plain HTTP is answered at the public address"
LINE = "location /api/swim/v1/ { proxy_pass http://HOST:PORT; proxy_buffering off; }  # nginx"


async def http_is_answered(context: DoctorContext) -> Answer:
    """Check that flights can be requested as a client without WebSockets does."""
    found = await ask_for_flights(context)
    look = inspect("swimctl status", "its url is where the proxy must lead")
    passed = decide(LINE, "a line of the proxy's configuration, with where the daemon listens")
    if found.is_state and found.status == 200:
        return ok(EXPECTED, f"{found.path} is")
    if found.code is not None:  # the service itself answered
        return unknown(EXPECTED, f"{found.path}: {found.status}, {found.code}")
    if found.status is None:
        return warn(EXPECTED, f"{found.path}: {found.trouble}", advice=[look, passed])
    seen = f"{found.path} answers {found.status}, and not from the service: the proxy passes WebSockets alone"
    return warn(EXPECTED, seen, advice=[look, passed])
