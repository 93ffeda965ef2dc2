"""Old and new process on a real socket pair."""

from __future__ import annotations

import asyncio
import socket

from swim_server.daemon.handover.channel import Channel


async def _pair() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return await Channel.open(ours), await Channel.open(theirs)


async def test_messages_arrive_whole_and_in_order() -> None:
    old, new = await _pair()
    for number in range(100):
        old.send("left", tier="public", key_id=number)
    for number in range(100):
        assert await new.receive() == {"type": "left", "word": "left", "tier": "public", "key_id": number}
    await old.close()
    assert await new.receive() is None
    await new.close()


async def test_all_connections_of_full_tiers_fit_one_message() -> None:
    old, new = await _pair()
    connections = [["system", 1_000_000 + number] for number in range(10_555)]
    old.send("go", connections=connections)
    async with asyncio.timeout(10):
        assert await new.receive() == {"type": "go", "word": "go", "connections": connections}
    await asyncio.gather(old.close(), new.close())


async def test_what_is_said_to_one_that_has_gone_is_lost_without_an_error() -> None:
    old, new = await _pair()
    await new.close()
    assert await old.receive() is None
    for _ in range(10):
        old.send("left", tier="public", key_id=1)
        await asyncio.sleep(0)
    await old.close()
    await old.close()


async def test_half_a_message_is_none() -> None:
    ours, theirs = socket.socketpair()
    channel = await Channel.open(ours)
    theirs.sendall(b'{"word": "serv')
    theirs.close()
    assert await channel.receive() is None
    await channel.close()
