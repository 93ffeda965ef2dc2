"""What is recorded and logged about connections."""

from __future__ import annotations

import asyncio

from support.gateway_rig import Rig, close_frame
from swim_server.protocol.codes import CloseCode


def test_client_that_could_not_keep_up_is_remembered_with_its_owner(rig: Rig) -> None:
    client = rig.admitted()
    client.endpoint.close(CloseCode.SLOW_CONSUMER, "too slow")
    client.send(close_frame(4008)).transport.lose()
    rig.turn()
    log = rig.context.log
    assert log.slow_consumers == 1
    (eviction,) = log.evictions
    assert (eviction.key_id, eviction.owner, eviction.reason) == (1, "somebody", "too slow")
    assert not log.cuts


async def test_connection_that_breaks_is_logged_with_1006(rig: Rig) -> None:
    client = rig.admitted()
    client.transport.lose(ConnectionResetError())
    rig.turn()
    await asyncio.sleep(0)
    (line,) = rig.log.of("disconnected")
    assert line["code"] == 1006
    (cut,) = rig.context.log.cuts
    assert cut.seconds == line["seconds"]
