"""What all endpoints share: counting, closing many, waiting for the last to go."""

from __future__ import annotations

import asyncio

from support.gateway_rig import UNKNOWN, Rig, close_frame, key_record, message, upgrade_request
from swim_server.keys.format import Tier
from swim_server.keys.records import Granted, Refused


def test_connections_are_found_by_their_key_in_the_order_of_their_coming(rig: Rig) -> None:
    rig.authenticator.keys["other"] = Granted(key_record(9, Tier.DEVELOPER))
    mine = [rig.admitted("dev") for _ in range(3)]
    rig.admitted("other")
    rig.local_client()
    found = rig.gateway.connections_of(1)
    assert [connection.id for connection in found] == [client.messages[0]["data"]["client_id"] for client in mine]
    assert rig.gateway.live_keys() == {1, 9}
    mine[0].endpoint.abort()
    assert rig.gateway.connections_of(1) == found[1:]


async def test_client_whose_key_has_ended_is_told_and_closed_for_good(rig: Rig) -> None:
    client, other = rig.admitted("dev"), rig.admitted("dev")
    (connection, _) = rig.gateway.connections_of(1)
    refused = Refused("The key was revoked.", "inactive", 1)
    assert [closed async for closed in rig.gateway.close_revoked([connection], refused)] == [connection]
    assert [closed async for closed in rig.gateway.close_revoked([connection], refused)] == []
    assert (client.types, client.close_code) == (["connected", "AUTH_FAILED"], 4001)
    assert other.endpoint.is_open


async def test_client_whose_key_is_of_another_tier_now_is_asked_to_come_back_without_an_error(rig: Rig) -> None:
    client = rig.admitted("dev")
    refused = Refused("The tier has changed.", "tier_changed", 1)
    assert len([closed async for closed in rig.gateway.close_revoked(rig.gateway.connections_of(1), refused)]) == 1
    assert (client.types, client.close_code) == (["connected"], 1012)


async def test_all_gone_waits_for_the_last(rig: Rig) -> None:
    await rig.gateway.all_gone()
    clients = [rig.admitted() for _ in range(2)]
    waiting = asyncio.create_task(rig.gateway.all_gone())
    for client in clients:
        await client.settle()
        assert not waiting.done()
        client.send(close_frame()).transport.feed_eof()
        rig.turn()
    await client.settle()
    assert waiting.done()


def test_clients_are_counted_without_those_of_the_control_socket(rig: Rig) -> None:
    rig.admitted("dev")
    rig.admitted("pub")
    rig.local_client()
    assert rig.gateway.clients() == 2


async def test_failing_message_is_told_apart_from_a_bad_one(rig: Rig) -> None:
    """History that can't be read is no fault of the client."""
    rig.broker.fail_next = True
    client = rig.admitted().send(message("subscribe", channels=["flight.*"], last=5))
    await client.settle()
    assert client.types == ["connected", "subscribed", "HISTORY_UNAVAILABLE"]
    assert client.messages[1]["gap"] is True


# Standing aside for another process.


async def test_client_that_comes_while_held_is_let_in_on_release(rig: Rig) -> None:
    rig.gateway.pause_admission()
    client = await rig.admitted("pub").settle()
    assert (client.status, client.types, rig.admission.current("public")) == (101, [], 0)
    rig.gateway.resume_admission()
    assert client.types == ["connected"]
    assert rig.admitted("pub").types == ["connected"]


async def test_held_client_whose_key_ends_meanwhile_is_refused_on_release(rig: Rig) -> None:
    rig.gateway.pause_admission()
    client = await rig.admitted("pub").settle()
    rig.authenticator.keys["pub"] = UNKNOWN
    rig.gateway.resume_admission()
    await client.settle()
    assert client.types == ["AUTH_FAILED"]


async def test_held_client_that_leaves_is_forgotten(rig: Rig) -> None:
    rig.gateway.pause_admission()
    client = await rig.admitted("pub").settle()
    client.transport.feed_eof()
    rig.turn()
    rig.gateway.resume_admission()
    await client.settle()
    assert client.is_gone
    assert rig.admission.current("public") == 0


async def test_bad_key_is_refused_while_held(rig: Rig) -> None:
    rig.gateway.pause_admission()
    client = await rig.admitted("nobody").settle()
    assert client.types == ["AUTH_FAILED"]
    rig.gateway.resume_admission()


async def test_settled_waits_for_those_who_have_just_come(rig: Rig) -> None:
    rig.admitted("dev")
    await rig.gateway.handshakes_done(1)
    client = rig.client().send(upgrade_request()[:20])
    waiting = asyncio.create_task(rig.gateway.handshakes_done(1))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    client.send(upgrade_request()[20:])
    await asyncio.wait_for(waiting, 1)


async def test_settled_waits_for_nobody_longer_than_it_is_told(rig: Rig) -> None:
    rig.client()
    waiting = asyncio.create_task(rig.gateway.handshakes_done(1))
    await asyncio.sleep(0)
    rig.clock.seconds += 1
    await asyncio.wait_for(waiting, 1)


def test_connections_made_while_draining_are_refused_on_the_control_socket_too(rig: Rig) -> None:
    rig.gateway.is_draining = True
    assert rig.local_client().status == 503
