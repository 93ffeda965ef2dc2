"""Asks every client to reconnect later, each at a different moment, and waits until they have left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from swim_server.protocol.codes import CloseCode

if TYPE_CHECKING:
    from swim_server.gateway.registry import Gateway

RETRY_FIRST_MS = 100
RETRY_SPREAD_MS = 1900
RETRY_STEP_MS = 37
"""Step between the ``retry_ms`` of successive clients, chosen so that they cover the spread evenly."""
CLOSES_PER_TURN = 50
MOVES_PER_SECOND = 1000
MAX_SPREAD_SECONDS = 10.0
"""Rate and maximum time of asking clients to move to the new process."""


def retry_ms(number: int) -> int:
    """Return after how many milliseconds client ``number`` is asked to reconnect."""
    return RETRY_FIRST_MS + number * RETRY_STEP_MS % RETRY_SPREAD_MS


async def drain(gateway: Gateway, skip_pacing: asyncio.Event, *, close_timeout_seconds: float, first: int = 0) -> None:
    """Close every client with 1012, those still waiting to be admitted first; drop those that don't answer in time.

    The closes are paced until ``skip_pacing`` is set. No client may be admitted any more (``gateway.is_draining``).
    ``first``: how many clients of the same service others drain.
    """
    assert gateway.is_draining, "else new clients would never be asked to go"
    endpoints = sorted(gateway.peers, key=lambda endpoint: endpoint.is_open)
    spread_seconds = min(len(endpoints) / MOVES_PER_SECOND, MAX_SPREAD_SECONDS)
    started = time.monotonic()
    for number, endpoint in enumerate(endpoints):
        pause_ms = retry_ms(first + number)
        text = f"the service restarts; retry_ms={pause_ms}"
        endpoint.close(CloseCode.SERVICE_RESTART, text, retry_ms=pause_ms)
        if number % CLOSES_PER_TURN == 0:
            due = started + spread_seconds * number / len(endpoints)
            await _sleep_until(due, skip_pacing)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(close_timeout_seconds):
            await gateway.all_gone()


async def _sleep_until(due: float, skip_pacing: asyncio.Event) -> None:
    await asyncio.sleep(0)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(due - time.monotonic(), 0)):
            await skip_pacing.wait()
