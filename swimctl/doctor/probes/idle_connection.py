"""Whether a proxy keeps idle connections open until the next heartbeat: found out by waiting for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import Answer, decide, fail, ok, unknown
from swimctl.doctor.probes.public_endpoint import STEP_SECONDS, client_of
from swimctl.doctor.probes.wire import Ended, NotUpgraded

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

LONGEST_SECONDS = 120.0
SLACK = 1.25
HEARTBEAT_SECONDS = 30.0
"""The interval if the service doesn't report its own."""


class Quiet(msgspec.Struct, kw_only=True):
    """What happened to an idle connection."""

    interval_seconds: float = HEARTBEAT_SECONDS
    """The heartbeat interval that the service reports."""
    seconds: float = 0.0
    """How long the connection was watched, or lived."""
    is_beaten: bool = False
    """A heartbeat arrived."""
    cut: str | None = None
    """How it ended before a heartbeat arrived."""
    trouble: str | None = None
    """Why there was nothing to wait for."""


async def idle_holds(context: DoctorContext) -> Answer:
    """Check that an idle connection survives until its heartbeat. Waits that long."""
    expected = "a quiet connection lives until the next heartbeat"
    found = await context.fact("front.quiet", lambda: _wait(context), "a client that says nothing", shape=Quiet)
    interval = found.interval_seconds
    if found.trouble is not None:
        return unknown(expected, found.trouble)
    if found.cut is not None:
        seen = f"it was cut after {found.seconds:.1f} s without traffic, heartbeats come every {interval:g} s"
        fix = longer_timeouts(4 * interval)
        return fail(expected, seen, found.cut, fix=decide(fix, "a line of the proxy's configuration"))
    if not found.is_beaten:
        seen = f"no heartbeat within {found.seconds:.0f} s, though one comes every {interval:g} s"
        return fail(expected, seen, fix="swimctl logs")
    return ok(expected, f"a heartbeat came after {found.seconds:.1f} s")


async def _wait(context: DoctorContext) -> Quiet:
    """Connect and wait for a heartbeat. Raises CannotAsk."""
    loop = asyncio.get_running_loop()
    found, began = Quiet(), loop.time()
    try:
        async with client_of(context) as wire:
            greeting = await wire.greet(context.within(2 * STEP_SECONDS))
            if greeting is None or not greeting.is_in:
                return Quiet(trouble="not admitted" if greeting is None else greeting.text)
            data = greeting.message.get("data")
            told = data.get("heartbeat_interval") if isinstance(data, dict) else None
            interval = float(told) if isinstance(told, int | float) and 0 < told < 1e6 else HEARTBEAT_SECONDS
            found.interval_seconds, seconds = interval, interval * SLACK + 5
            if seconds > LONGEST_SECONDS:
                return Quiet(trouble=f"a heartbeat comes every {interval:g} s only: that isn't waited for")
            began = loop.time()
            found.is_beaten = await wire.await_type(("system.heartbeat",), seconds) is not None
    except NotUpgraded as error:
        found.trouble = error.reason
    except Ended as ended:
        found.cut = str(ended)
    found.seconds = loop.time() - began
    return found


def longer_timeouts(seconds: float) -> str:
    """Name the setting of each proxy that closes idle connections; Caddy has none."""
    settings = {
        "nginx": f"proxy_read_timeout {seconds:.0f}s; proxy_send_timeout {seconds:.0f}s;",
        "Apache": f"ProxySet timeout={seconds:.0f}",
        "HAProxy": f"timeout tunnel {seconds:.0f}s",
        "lighttpd": f"server.max-read-idle = {seconds:.0f}, server.max-write-idle = {seconds:.0f}",
        "Varnish": f"varnishd -p pipe_timeout={seconds:.0f}",
    }
    return "; ".join(f"{name}: {setting}" for name, setting in settings.items())
