"""Whether a proxy leaves quiet connections alone until the next heartbeat: found out by waiting for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, fail, ok, unknown
from swimctl.doctor.probes.public_endpoint import STEP_SECONDS, client_of
from swimctl.doctor.probes.wire import Ended, NotUpgraded

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

LONGEST_SECONDS = 120.0
SLACK = 1.25
HEARTBEAT_SECONDS = 30.0
"""Where the service doesn't tell its own."""


async def idle_holds(context: DoctorContext) -> Answer:
    """Check that a quiet connection lives until its heartbeat comes. Waits for that."""
    expected = "a quiet connection lives until the next heartbeat"
    loop = asyncio.get_running_loop()
    began = loop.time()
    interval = HEARTBEAT_SECONDS
    try:
        async with client_of(context) as wire:
            greeting = await wire.greet(context.within(2 * STEP_SECONDS))
            if greeting is None or not greeting.is_in:
                return unknown(expected, "not let in" if greeting is None else greeting.text)
            data = greeting.message.get("data")
            told = data.get("heartbeat_interval") if isinstance(data, dict) else None
            interval = float(told) if isinstance(told, int | float) and 0 < told < 1e6 else HEARTBEAT_SECONDS
            seconds = interval * SLACK + 5
            if seconds > LONGEST_SECONDS:
                return unknown(expected, f"a heartbeat comes every {interval:g} s only: that isn't waited for")
            began = loop.time()
            message = await wire.await_type(("system.heartbeat",), seconds)
    except NotUpgraded as error:
        return unknown(expected, error.reason)
    except Ended as ended:
        seen = f"it was cut after {loop.time() - began:.1f} s without traffic, heartbeats come every {interval:g} s"
        return fail(expected, seen, str(ended), fix=_longer_timeouts(4 * interval))
    if message is None:
        return fail(
            expected, f"no heartbeat within {seconds:.0f} s, though one comes every {interval:g} s", fix="swimctl logs"
        )
    return ok(expected, f"a heartbeat came after {loop.time() - began:.1f} s")


def _longer_timeouts(seconds: float) -> str:
    """Name the setting of each proxy that cuts quiet tunnels; Caddy has none."""
    settings = {
        "nginx": f"proxy_read_timeout {seconds:.0f}s; proxy_send_timeout {seconds:.0f}s;",
        "Apache": f"ProxySet timeout={seconds:.0f}",
        "HAProxy": f"timeout tunnel {seconds:.0f}s",
        "lighttpd": f"server.max-read-idle = {seconds:.0f}, server.max-write-idle = {seconds:.0f}",
        "Varnish": f"varnishd -p pipe_timeout={seconds:.0f}",
    }
    return "; ".join(f"{name}: {setting}" for name, setting in settings.items())
