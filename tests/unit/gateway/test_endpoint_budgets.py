"""What one client may cost the others, whatever it sends."""

from __future__ import annotations

import dataclasses
import tracemalloc

import pytest
from support.gateway_rig import Client, Rig, client_frame, message, upgrade_request
from swim_server.gateway.context import HARD_LIMIT_BYTES
from swim_server.gateway.dispatcher import Dispatcher, Sender
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.admission import TierLimit
from swim_server.streaming.connection import Connection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

PING_FRAME = client_frame(b"", Opcode.PING)
COMPRESSION = "Sec-WebSocket-Extensions: permessage-deflate"
FAST = {"developer": TierLimit(30, messages_per_second=1_000_000), "system": TierLimit(5)}


def pongs(client: Client) -> int:
    return sum(opcode is Opcode.PONG for opcode, _ in client.frames)


async def test_frames_of_one_client_are_worked_off_a_turn_at_a_time() -> None:
    rig = await Rig(FAST, max_turn_frames=5).open()
    client = rig.admitted()
    client.transport.feed(PING_FRAME * 35)
    assert pongs(client) == 5
    assert not client.transport.reads
    rig.turn()
    assert pongs(client) == 35
    assert client.transport.reads
    await rig.close()


async def test_bytes_of_one_client_are_worked_off_a_turn_at_a_time() -> None:
    rig = await Rig(FAST, max_turn_bytes=10_000).open()
    client = rig.admitted()
    client.transport.feed(message("ping", note="x" * 8000) * 5)
    assert client.types.count("pong") == 1
    rig.turn()
    assert client.types.count("pong") == 5
    await rig.close()


async def test_inflated_bytes_count_and_not_those_that_came() -> None:
    rig = await Rig(FAST, max_turn_bytes=10_000).open()
    client = rig.client().send(upgrade_request("/?api_key=dev", COMPRESSION))
    payload = b'{"action":"ping"}'.ljust(60_000)
    deflated = Frame(Opcode.TEXT, payload).serialize(mask=True, extensions=[PerMessageDeflate(True, True, 15, 15)])
    assert len(deflated) < 200
    client.transport.feed(deflated * 5)
    assert client.types.count("pong") == 1
    rig.turn()
    assert client.types.count("pong") == 5
    await rig.close()


async def test_clients_take_turns() -> None:
    rig = await Rig(FAST, max_turn_frames=10).open()
    first, second = rig.admitted(), rig.admitted()
    first.transport.feed(PING_FRAME * 100)
    second.transport.feed(PING_FRAME * 20)
    rig.turn()
    assert (pongs(first), pongs(second)) == (100, 20)
    await rig.close()


def test_pings_count_to_the_rate(rig: Rig) -> None:
    client = rig.admitted().send(PING_FRAME * 15)
    assert client.types == ["connected", "RATE_LIMITED"]
    for _ in range(9):
        rig.advance(1)
        client.send(PING_FRAME * 15)
    assert client.close_code == 4002
    assert client.types.count("RATE_LIMITED") == 10


@pytest.mark.parametrize(
    "frame",
    [PING_FRAME, client_frame(b"", Opcode.PONG), message("ping"), client_frame(b"x", Opcode.CONT, fin=False)],
    ids=["pings", "pongs", "messages", "fragments"],
)
def test_twenty_times_the_rate_is_closed_at_once(rig: Rig, frame: bytes) -> None:
    client = rig.admitted().send(client_frame(b"", fin=False)) if frame[0] & 15 == Opcode.CONT else rig.admitted()
    client.send(frame * 205)
    assert client.types[-1] == "RATE_LIMITED"
    assert client.close_code == 4002
    assert not client.transport.reads
    rig.advance(6)
    assert client.is_gone


def test_just_under_twenty_times_the_rate_is_borne_for_a_second(rig: Rig) -> None:
    client = rig.admitted().send(PING_FRAME * 199)
    assert client.endpoint.is_open


def test_client_that_sends_more_bytes_than_its_rate_allows_is_read_again_in_the_next_second(rig: Rig) -> None:
    client = rig.admitted()
    client.send(*[client_frame(b" " * 300_000)] * 3)
    assert client.types.count("MESSAGE_TOO_LARGE") == 3
    client.send(message("ping"))
    assert client.types[-1] == "MESSAGE_TOO_LARGE"
    assert not client.transport.reads
    rig.advance(1.2)
    assert client.types[-1] == "pong"
    assert client.transport.reads


def test_client_that_rests_is_closed_all_the_same(rig: Rig) -> None:
    client = rig.admitted().send(*[client_frame(b" " * 300_000)] * 3)
    client.endpoint.close(CloseCode.SERVICE_RESTART)
    client.send(client_frame((1012).to_bytes(2, "big"), Opcode.CLOSE))
    assert client.transport.has_eof


def test_control_socket_has_no_rate_of_frames(rig: Rig) -> None:
    client = rig.local_client().send(PING_FRAME * 5000)
    assert pongs(client) == 5000


async def test_client_that_sends_a_line_is_served_before_those_who_send_a_lot() -> None:
    rig = await Rig(FAST, max_turn_frames=10).open()
    flooders, other = [rig.admitted() for _ in range(3)], rig.admitted()
    for flooder in flooders:
        flooder.transport.feed(PING_FRAME * 1000)
    rig.context.reading_queues.heavy._slice_seconds = 0.0
    other.transport.feed(message("ping"))
    assert other.types[-1] == "pong"
    assert max(map(pongs, flooders)) < 1000
    rig.turn()
    assert [pongs(flooder) for flooder in flooders] == [1000] * 3
    await rig.close()


async def test_message_that_may_inflate_to_a_lot_waits_with_those_who_send_a_lot() -> None:
    rig = await Rig(FAST).open()
    client, other = rig.client().send(upgrade_request("/?api_key=dev", COMPRESSION)), rig.admitted()
    rig.context.reading_queues.heavy._slice_seconds = 0.0
    bomb = b'"' + b"x" * 1_000_000 + b'"'
    client.transport.feed(
        Frame(Opcode.TEXT, bomb).serialize(mask=True, extensions=[PerMessageDeflate(True, True, 15, 15)])
    )
    other.transport.feed(message("ping"))
    assert (client.types[-1], other.types[-1]) == ("connected", "pong")
    rig.turn()
    assert client.types[-1] == "MESSAGE_TOO_LARGE"
    await rig.close()


class SlowRig(Rig):
    """A gateway in which the answer to a message with "slow" in it takes ten milliseconds."""

    class Dispatcher(Dispatcher):
        rig: SlowRig

        def dispatch(
            self, sender: Sender, connection: Connection, payload: bytes, size_bytes: int, *, is_text: bool
        ) -> None:
            if b"slow" in payload:
                self.rig.clock.advance(0.01)
            super().dispatch(sender, connection, payload, size_bytes, is_text=is_text)

    def __init__(self) -> None:
        super().__init__(FAST)
        context = self.context
        dispatcher = SlowRig.Dispatcher(
            context.conversation, self.rpc, self.admission, self.tasks, abuse_factor=20, clock=self.clock
        )
        dispatcher.rig = self
        self.context = dataclasses.replace(context, dispatcher=dispatcher)


async def test_client_whose_messages_take_long_waits_for_a_second_with_others_of_that_kind() -> None:
    rig = await SlowRig().open()
    slow, other = rig.admitted(), rig.admitted()
    slow.send(message("ping", note="slow"))
    rig.context.reading_queues.heavy._slice_seconds = 0.0
    rig.context.reading_queues.heavy.submit(lambda: None)  # another one's work of this turn
    slow.transport.feed(message("ping"))
    other.transport.feed(message("ping"))
    assert (slow.types.count("pong"), other.types.count("pong")) == (1, 1)
    rig.turn()
    assert slow.types.count("pong") == 2
    rig.advance(1.1)
    rig.context.reading_queues.heavy.submit(lambda: None)
    slow.transport.feed(message("ping"))
    assert slow.types.count("pong") == 3
    await rig.close()


async def test_turn_of_a_client_ends_when_it_has_taken_long() -> None:
    rig = await SlowRig().open()
    client = rig.admitted()
    client.transport.feed(message("ping", note="slow") * 5)
    assert client.types.count("pong") == 1
    rig.turn()
    assert client.types.count("pong") == 5
    await rig.close()


@pytest.mark.parametrize("turn_bytes", [65_536, 2 * HARD_LIMIT_BYTES])
async def test_message_that_is_too_long_is_not_kept_while_it_comes(turn_bytes: int) -> None:
    rig = await Rig(FAST, max_turn_bytes=turn_bytes).open()
    clients = [rig.admitted() for _ in range(20)]
    stream = client_frame(b"x" * 1_000_000)
    tracemalloc.start()
    for client in clients:
        client.send(*(stream[begin : begin + 50_000] for begin in range(0, 950_000, 50_000)))
    assert tracemalloc.get_traced_memory()[0] < 20 * 150_000
    tracemalloc.stop()
    for client in clients:
        client.send(stream[950_000:])
        assert client.messages[-1]["data"]["size"] == 1_000_000
    await rig.close()


@pytest.mark.parametrize("turn_bytes", [65_536, 2 * HARD_LIMIT_BYTES])
@pytest.mark.parametrize("at", [10, 65_535, 65_536, 299_998])
async def test_bad_utf8_is_found_where_a_message_is_not_kept(turn_bytes: int, at: int) -> None:
    rig = await Rig(FAST, max_turn_bytes=turn_bytes).open()
    payload = bytearray("é".encode() * 150_000)
    good = rig.admitted().send(client_frame(bytes(payload)))
    assert good.types == ["connected", "MESSAGE_TOO_LARGE"]
    payload[at] = 0xFF
    assert rig.admitted().send(client_frame(bytes(payload))).close_code == 1007
    await rig.close()


async def test_fragments_that_are_not_kept_count_all_the_same() -> None:
    rig = await Rig(FAST).open()
    client = rig.admitted().send(client_frame(b"x" * 500_000, fin=False), client_frame(b"x" * 500_000, Opcode.CONT))
    assert client.messages[-1]["data"]["size"] == 1_000_000
    client.send(client_frame(b"x" * 600_000, fin=False), client_frame(b"x" * 600_000, Opcode.CONT, fin=False))
    assert (client.types[-1], client.close_code) == ("MESSAGE_TOO_LARGE", 1009)
    await rig.close()


async def test_last_message_of_a_client_is_not_kept() -> None:
    """The library's parser holds the last frame until the next one comes, from each of ten thousand clients."""
    rig = await Rig(FAST).open()
    clients = [rig.client().send(upgrade_request("/?api_key=dev", COMPRESSION)) for _ in range(20)]
    bomb = Frame(Opcode.TEXT, b"x" * 1_000_000).serialize(mask=True, extensions=[PerMessageDeflate(True, True, 15, 15)])
    tracemalloc.start()
    for client in clients:
        client.send(bomb)
        assert client.types[-1] == "MESSAGE_TOO_LARGE"
    assert tracemalloc.get_traced_memory()[0] < 20 * 100_000
    tracemalloc.stop()
    await rig.close()


def test_client_that_sends_on_and_on_after_its_close_is_read_no_more(rig: Rig) -> None:
    client = rig.admitted().send(*[client_frame(b"", Opcode.BINARY)] * 10)
    assert client.close_code == 4003
    client.send(*[client_frame(b"x" * 1000)] * 500)
    assert client.transport.reads
    client.send(*[client_frame(b"x" * 1000)] * 1000)
    assert not client.transport.reads
    rig.advance(6)
    assert client.is_gone
