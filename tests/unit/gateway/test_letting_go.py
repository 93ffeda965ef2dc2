"""A disconnected client leaves no object behind, not even for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from support.gateway_rig import Client, Rig, close_frame, message, upgrade_request
from swim_server.gateway.endpoint import Endpoint


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leave_by_closing(client: Client) -> None:
    client.send(close_frame())
    client.transport.lose()


def leave_by_vanishing(client: Client) -> None:
    client.transport.lose(ConnectionResetError())


def leave_by_end_of_stream(client: Client) -> None:
    client.endpoint.eof_received()
    client.transport.lose()


def leave_by_nonsense(client: Client) -> None:
    client.send(b"\xff\xff\xff\xff")
    client.transport.lose()


def leave_after_waiting_for_its_rate(client: Client) -> None:
    for _ in range(200):
        client.send(message("status"))
    client.transport.lose()


LEAVE = [
    leave_by_closing,
    leave_by_vanishing,
    leave_by_end_of_stream,
    leave_by_nonsense,
    leave_after_waiting_for_its_rate,
]


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("leave", LEAVE)
async def test_client_that_is_gone_is_freed_at_once(rig: Rig, leave: Callable[[Client], None]) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", "Sec-WebSocket-Extensions: permessage-deflate"))
    client.send(message("subscribe", channels=["flight.*"]))
    await rig.publish("flight.created", callsign="DAL1")
    protocol = weakref.ref(client.endpoint.ws)
    connection = client.endpoint.connection
    assert connection is not None
    client_id = connection.id
    leave(client)
    rig.turn()
    client.transport.protocol = None  # as the loop's own transports do
    assert client_id not in rig.hub.connections
    del connection, client
    assert protocol() is None
    assert not [each for each in gc.get_objects() if type(each) is Endpoint]


async def test_what_a_client_sent_before_it_went_is_not_looked_at_in_a_later_turn(rig: Rig) -> None:
    """Its turn may still come when the connection is lost: there is nobody to read for, and nothing to read with."""
    client = rig.client().send(upgrade_request("/?api_key=dev"))
    rig.turn()
    client.endpoint.data_received(message("status") * 12)
    reader = client.endpoint._reader
    assert reader is not None
    assert reader._cutter.has_piece, "more than it may have read at once"
    client.endpoint.connection_lost(ConnectionResetError())  # before that turn
    rig.turn()
    assert not reader._is_queued
    assert not reader._is_queued
