"""Asking every client to reconnect, each at its own time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from support.gateway_rig import Rig, close_frame, upgrade_request
from swim_server.daemon.drain import RETRY_FIRST_MS, RETRY_SPREAD_MS, drain, retry_ms
from websockets.frames import Opcode


async def _drained(rig: Rig, *, skip_pacing: bool = True) -> asyncio.Task[None]:
    rig.gateway.is_draining = True
    event = asyncio.Event()
    if skip_pacing:
        event.set()
    task = asyncio.create_task(
        drain(rig.gateway, event, close_timeout_seconds=rig.context.settings.close_timeout_seconds)
    )
    for _ in range(10):
        await asyncio.sleep(0)
        rig.turn()
    return task


def test_moments_to_come_back_at_cover_the_spread_evenly() -> None:
    moments = [retry_ms(number) for number in range(RETRY_SPREAD_MS)]
    assert len(set(moments)) == RETRY_SPREAD_MS
    assert min(moments) == RETRY_FIRST_MS
    assert max(moments) < RETRY_FIRST_MS + RETRY_SPREAD_MS
    first = sorted(moments[:50])
    assert max(later - earlier for earlier, later in pairwise(first)) < 3 * RETRY_SPREAD_MS / 50


async def test_every_client_is_closed_with_1012_and_its_own_moment() -> None:
    rig = await Rig().open()
    clients = [rig.admitted("sys") for _ in range(120)]
    task = await _drained(rig)
    assert {client.close_code for client in clients} == {1012}
    reasons = {payload for client in clients for opcode, payload in client.frames if opcode is Opcode.CLOSE}
    assert len(reasons) == 120
    for client in clients:
        client.send(close_frame(1012)).transport.feed_eof()
    rig.turn()
    await asyncio.wait_for(task, 1)
    await rig.close()


async def test_client_that_has_not_been_let_in_yet_is_sent_away_too() -> None:
    rig = await Rig().open()
    rig.authenticator.is_slow = True
    waiting = await rig.admitted("sys").settle()
    connecting = rig.client().send(upgrade_request()[:10])
    task = await _drained(rig)
    assert waiting.close_code == 1012
    assert connecting.is_gone
    waiting.transport.feed_eof()
    rig.turn()
    await asyncio.wait_for(task, 1)
    await rig.close()


async def test_drain_of_nobody_is_over_at_once() -> None:
    rig = await Rig().open()
    task = await _drained(rig, skip_pacing=False)
    await asyncio.wait_for(task, 1)


async def test_client_that_does_not_answer_is_waited_for_no_longer_than_the_close_timeout() -> None:
    rig = await Rig(close_timeout_seconds=0.01).open()
    rig.admitted("sys")
    task = await _drained(rig)
    await asyncio.wait_for(task, 1)
    assert rig.gateway.peers
    await rig.close()
