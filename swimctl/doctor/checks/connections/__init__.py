"""Checks of the live connections: each has a valid key, each is counted, the expected ones are there."""

from __future__ import annotations

from swimctl.doctor.check import Check
from swimctl.doctor.checks.connections.clients import current, keep_up, not_cut, subscribed
from swimctl.doctor.checks.connections.counts import counted, expected
from swimctl.doctor.checks.connections.keys import keys_hold, refused

TIMEOUT_SECONDS = 6.0

CHECKS: tuple[Check, ...] = (
    Check(
        id="connections.keys-hold",
        summary="Every connection's key still lets it in",
        ask=keys_hold,
        needs=("process.answers", "database.same-store"),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.counted",
        summary="The process counts the connections that the kernel holds",
        ask=counted,
        needs=("process.answers",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.expected",
        summary="The expected clients are connected",
        ask=expected,
        needs=("process.answers", "config.valid"),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.keep-up",
        summary="Every client reads as fast as it is written to",
        ask=keep_up,
        needs=("process.answers",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.not-cut",
        summary="Quiet connections live until the next heartbeat",
        ask=not_cut,
        needs=("process.answers",),
    ),
    Check(
        id="connections.current",
        summary="Clients of our SDK run a current version",
        ask=current,
        needs=("process.answers",),
    ),
    Check(
        id="connections.refused",
        summary="No client is refused repeatedly",
        ask=refused,
        needs=("process.answers",),
    ),
    Check(
        id="connections.subscribed",
        summary="Every client has subscribed to something",
        ask=subscribed,
        needs=("process.answers",),
    ),
)
