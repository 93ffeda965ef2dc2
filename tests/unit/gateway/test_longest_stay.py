"""Clients connected for long are asked to reconnect, so that a proxy's old processes can end."""

from __future__ import annotations

import pytest
from support.gateway_rig import Client, Rig, client_frame, message
from websockets.frames import Opcode

pytestmark = pytest.mark.unmeasured

PONG = client_frame(b"", Opcode.PONG)


def pass_time(rig: Rig, clients: list[Client], seconds: float) -> None:
    """Let time pass in which every client answers its pings."""
    end = rig.clock.seconds + seconds
    while rig.clock.seconds < end:
        rig.advance(30)
        for client in clients:
            client.send(PONG)


async def test_client_is_asked_to_connect_anew_after_the_configured_time() -> None:
    rig = await Rig(max_connection_hours=1).open()
    clients = [rig.admitted("sys").send(message("subscribe", channels=["flight.*"], notices=True)) for _ in range(30)]
    pass_time(rig, clients, 3600 * 0.89)
    assert {client.close_code for client in clients} == {None}
    pass_time(rig, clients, 3600 * 0.05)
    closed = [client.close_code for client in clients]
    assert set(closed) == {None, 1012}
    pass_time(rig, clients, 3600 * 0.08)
    assert {client.close_code for client in clients} == {1012}
    assert {client.types[-1] for client in clients} == {"RESTARTING"}
    assert all(100 <= client.messages[-1]["data"]["retry_ms"] <= 2000 for client in clients)
    await rig.close()


async def test_nobody_is_asked_by_default() -> None:
    rig = await Rig().open()
    client = rig.admitted()
    pass_time(rig, [client], 3600 * 30)
    assert client.close_code is None
    await rig.close()


async def test_commands_stay() -> None:
    rig = await Rig(max_connection_hours=0.1).open()
    client = rig.local_client()
    pass_time(rig, [client], 3600)
    assert client.close_code is None
    await rig.close()
