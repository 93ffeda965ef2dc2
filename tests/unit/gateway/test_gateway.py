"""What all endpoints share: counting, closing many, waiting for the last to go."""

from __future__ import annotations

import asyncio

from support.gateway_rig import Rig, close_frame, key_record, message
from swim_server.keys.format import Tier
from swim_server.keys.records import Granted
from swim_server.protocol.codes import CloseCode


def test_closing_a_key_closes_its_connections_and_no_others(rig: Rig) -> None:
    rig.authenticator.keys["other"] = Granted(key_record(9, Tier.DEVELOPER))
    mine, other, local = [rig.admitted("dev") for _ in range(3)], rig.admitted("other"), rig.local_client()
    assert rig.gateway.close_key(1, CloseCode.UNAUTHORIZED, "The key was revoked.") == 3
    for client in mine:
        assert (client.types, client.close_code) == (["connected", "AUTH_FAILED"], 4001)
    assert other.endpoint.is_open
    assert local.endpoint.is_open


def test_closing_a_key_whose_tier_changed_asks_to_come_back_without_an_error(rig: Rig) -> None:
    client = rig.admitted("dev")
    assert rig.gateway.close_key(1, CloseCode.SERVICE_RESTART, "The key's tier has changed.") == 1
    assert (client.types, client.close_code) == (["connected"], 1012)


def test_closing_a_key_twice_closes_nothing_more(rig: Rig) -> None:
    rig.admitted("dev")
    rig.gateway.close_key(1, CloseCode.UNAUTHORIZED, "revoked")
    assert rig.gateway.close_key(1, CloseCode.UNAUTHORIZED, "revoked") == 0


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


def test_connections_made_while_draining_are_refused_on_the_control_socket_too(rig: Rig) -> None:
    rig.gateway.is_draining = True
    assert rig.local_client().status == 503
