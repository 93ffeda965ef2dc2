"""Members of a group that keep up are written to past their transports; every client still gets each byte in order."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
import uvloop
from support.gateway_rig import Rig, message, upgrade_request
from support.streaming_rig import read_messages
from swim_server.gateway.endpoint import Endpoint
from swim_server.protocol.codes import CloseCode
from swim_server.streaming.admission import TierLimit
from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.rows import CROWDED_SECONDS, MANY_WAITS, ROW_MEMBERS, RowWriter

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
SMALL_BUFFER = 8 * 1024
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
Play = Callable[[Coroutine[Any, Any, None]], None]


class LiveRig(Rig):
    """The rig behind a real listener, with the turns of a real loop."""

    port = 0

    def __init__(self, **server: Any) -> None:
        super().__init__(**server)
        self.subscribers: list[Subscriber] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(callback)

    def group(self) -> Group[Connection]:
        (group,) = self.hub.groups.values()
        return group

    def in_rows(self) -> int:
        return sum(len(row.members) for group in self.hub.groups.values() for row in group.rows)

    async def settled(self, clients: int) -> None:
        """Publish until so many clients are in rows."""
        await until(lambda: len(self.hub.connections) >= clients)
        for _ in range(200):
            await self.publish("flight.created")
            await asyncio.sleep(0.005)
            if self.in_rows() == clients:
                return
        raise AssertionError(f"{self.in_rows()} of {clients} clients are in rows")


class Subscriber:
    """A client with a socket of its own, which reads when the test says so."""

    def __init__(self, rig: LiveRig, *headers: str, tls: ssl.SSLContext | None = None, small: bool = False) -> None:
        self._socket = socket.socket()
        if small:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._socket.setblocking(False)
        self._rig, self._headers, self._tls = rig, headers, tls
        self.received = bytearray()
        rig.subscribers.append(self)

    async def open(self) -> Subscriber:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._rig.port))
        if self._tls is not None:
            self._reader, self._writer = await asyncio.open_connection(
                sock=self._socket, ssl=self._tls, server_hostname="localhost"
            )
        await self.send(upgrade_request("/?api_key=dev", *self._headers))
        await self.send(message("subscribe", channels=["flight.*"]))
        await self.read_until(lambda: b"subscribed" in self.received)
        return self

    async def send(self, data: bytes) -> None:
        if self._tls is not None:
            self._writer.write(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read(self, seconds: float = 0.01) -> bool:
        """Read what comes within this time; False: nothing did, or the other end has closed."""
        loop = asyncio.get_running_loop()
        reading = self._reader.read(65536) if self._tls is not None else loop.sock_recv(self._socket, 65536)
        try:
            data: bytes = await asyncio.wait_for(reading, seconds)
        except TimeoutError:
            return False
        self.received += data
        return bool(data)

    async def read_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await self.read(0.05)

    async def read_until_has(self, part: bytes) -> None:
        await self.read_until(lambda: part in self.received)

    async def read_ids(self, last: str) -> list[str]:
        """Read until the event with this id has come; return the ids of all events."""
        await self.read_until(lambda: last.encode() in self.received and self._is_whole())
        return self.ids()

    def _is_whole(self) -> bool:
        """Tell whether nothing of a frame is still to come."""
        place = self.received.index(b"\r\n\r\n") + 4
        while place + 4 <= len(self.received):
            length, head = self.received[place + 1], 2
            if length >= 126:
                head = 4 if length == 126 else 10
                length = int.from_bytes(self.received[place + 2 : place + head], "big")
            place += head + length
        return place == len(self.received)

    def messages(self) -> list[dict[str, Any]]:
        """Parse everything that follows the answer to the upgrade: one byte out of place fails."""
        head, _, frames = bytes(self.received).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head[:80]
        return read_messages(frames)

    def ids(self) -> list[str]:
        return [each["id"] for each in self.messages() if each["type"].startswith("flight.")]

    def reset(self) -> None:
        """Close without a word, with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        if self._tls is not None:
            self._writer.transport.abort()
        else:
            self._socket.close()


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def live_rig(*, tls: ssl.SSLContext | None = None, **server: Any) -> AsyncIterator[LiveRig]:
    rig = await LiveRig(**server).open()
    assert isinstance(rig, LiveRig)
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)  # so that many writes are cut short
    rig.port = listening.getsockname()[1]
    listener = await loop.create_server(lambda: Endpoint(rig.context, rig.context.public_kind), sock=listening, ssl=tls)
    try:
        yield rig
    finally:
        listener.close()
        for subscriber in rig.subscribers:
            subscriber.close()
        for peer in list(rig.gateway.peers):
            peer.abort()
        await until(lambda: not rig.gateway.peers)
        await rig.close()
        await asyncio.sleep(0.01)  # the transports close their sockets


@pytest.fixture(params=LOOPS)
def play(request: pytest.FixtureRequest) -> Play:
    """Run a scenario on one kind of loop."""

    def run(scenario: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(scenario)

    return run


async def opened(rig: LiveRig, count: int, *headers: str) -> list[Subscriber]:
    return [await Subscriber(rig, *headers).open() for _ in range(count)]


def stored(rig: LiveRig) -> list[str]:
    return [str(event.id) for event in rig.broker.events]


def test_all_get_every_event_once_and_in_order(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = await opened(rig, 40)
            await rig.settled(40)
            assert [len(row.members) for row in rig.group().rows] == [32, 8]
            for _ in range(20):
                await rig.publish("flight.created", "flight.departed")
                await asyncio.sleep(0)
            expected = stored(rig)
            assert all([await client.read_ids(expected[-1]) == expected for client in clients])
            assert all(each.messages_sent == len(expected) + 2 for each in rig.hub.connections.values())

    play(scenario())


def test_rows_end_in_the_middle_of_an_event_when_another_thread_computes(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig(limits={"developer": TierLimit(200)}) as rig:
            clients = await opened(rig, 4 * ROW_MEMBERS)
            await rig.settled(4 * ROW_MEMBERS)
            counted = iter([0, 0, 0, MANY_WAITS])  # before and after the first row, and the second
            writer = RowWriter(rig.clock.monotonic, lambda: next(counted))
            rig.hub._group_writer._rows = writer
            await rig.publish("flight.created")
            await until(lambda: rig.hub.is_idle)
            assert rig.in_rows() == 0
            await rig.publish("flight.created")
            await until(lambda: rig.hub.is_idle)
            expected = stored(rig)
            assert all([await client.read_ids(expected[-1]) == expected for client in clients])
            assert all(each.messages_sent == len(expected) + 2 for each in rig.hub.connections.values())
            rig.clock.seconds += CROWDED_SECONDS
            writer._waits = lambda: 0
            await rig.settled(4 * ROW_MEMBERS)

    play(scenario())


def test_answers_keep_their_place_among_events(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = await opened(rig, 10)
            await rig.settled(10)
            for number in range(30):
                await clients[number % 10].send(message("status"))
                await rig.publish("flight.created")
                await asyncio.sleep(0.002)
            expected = stored(rig)
            for client in clients:
                assert await client.read_ids(expected[-1]) == expected
                seen: list[str] = []
                for each in client.messages():
                    if each["type"] == "status":
                        assert each["data"]["last_event_id"] == seen[-1], "what precedes an answer was sent before it"
                    elif each["type"].startswith("flight."):
                        seen.append(each["id"])
                assert [each["type"] for each in client.messages()].count("status") == 3
            await rig.settled(10)

    play(scenario())


def test_a_client_that_does_not_read_holds_nobody_up_and_misses_nothing(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig(max_buffer_bytes=64 << 20) as rig:
            slow = await Subscriber(rig, small=True).open()
            clients = [slow, *await opened(rig, 11)]
            await rig.settled(12)
            for _ in range(300):
                await rig.publish("flight.created", route="x" * 20_000)
                await asyncio.sleep(0)
                await asyncio.gather(*(client.read(0) for client in clients[1:]))
                if any(each.is_lagging for each in rig.hub.connections.values()):
                    break
            await rig.publish("flight.created")
            assert [each.is_lagging for each in rig.hub.connections.values()].count(True) == 1
            assert rig.in_rows() == 11
            expected = stored(rig)
            assert all([await client.read_ids(expected[-1]) == expected for client in clients])
            await rig.settled(12)

    play(scenario())


def test_a_client_that_is_gone_is_forgotten_and_the_others_get_everything(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = await opened(rig, 12)
            await rig.settled(12)
            for client in clients[::3]:
                client.reset()
            for _ in range(3):
                await rig.publish("flight.created")
            await until(lambda: len(rig.hub.connections) == 8)
            await rig.publish("flight.created")
            expected = stored(rig)
            remaining = [client for number, client in enumerate(clients) if number % 3]
            assert all([await client.read_ids(expected[-1]) == expected for client in remaining])

    play(scenario())


def test_whoever_comes_after_a_lost_client_gets_nothing_of_it(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = await opened(rig, 9)
            await rig.settled(9)
            for endpoint in [*rig.gateway.peers][:4]:
                endpoint._transport.abort()  # type: ignore[attr-defined]  # as the transport does after an error
            later = [asyncio.create_task(Subscriber(rig).open()) for _ in range(8)]
            for _ in range(5):
                await rig.publish("flight.created")
                await asyncio.sleep(0)
            arrived = await asyncio.gather(*later)
            await until(lambda: len(rig.hub.connections) == 13)
            await rig.publish("flight.created")
            expected = stored(rig)
            for client in arrived:
                found = await client.read_ids(expected[-1])
                assert found == expected[-len(found) :]
            assert sum([await client.read(1) and client.ids()[-1] == expected[-1] for client in clients]) == 5

    play(scenario())


def test_nothing_follows_a_close(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = await opened(rig, 9)
            await rig.settled(9)
            await rig.publish("flight.created")
            last = stored(rig)[-1]
            for endpoint in list(rig.gateway.peers):
                endpoint.close(CloseCode.SERVICE_RESTART, "restarting")
            await rig.publish("flight.created")
            for client in clients:
                await client.read_until_has(b"restarting")
                frames = bytes(client.received).partition(b"\r\n\r\n")[2]
                events, _, close = frames.rpartition(b"\x88")
                assert read_messages(events)[-1]["id"] == last
                assert close[1:] == CloseCode.SERVICE_RESTART.to_bytes(2, "big") + b"restarting"

    play(scenario())


def test_clients_with_tls_are_never_written_to_directly(play: Play) -> None:
    async def scenario() -> None:
        authority = trustme.CA()
        served, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.issue_cert("localhost").configure_cert(served)
        authority.configure_trust(trusting)
        async with live_rig(tls=served) as rig:
            clients = [await Subscriber(rig, tls=trusting).open() for _ in range(9)]
            for _ in range(5):
                await rig.publish("flight.created")
                await asyncio.sleep(0)
            expected = stored(rig)
            assert all([await client.read_ids(expected[-1]) == expected for client in clients])
            assert rig.in_rows() == 0

    play(scenario())


def test_compressed_events_are_written_directly_too(play: Play) -> None:
    async def scenario() -> None:
        async with live_rig() as rig:
            clients = [*await opened(rig, 9, DEFLATE), *await opened(rig, 9)]
            await rig.settled(18)
            assert len(rig.hub.groups) == 2
            for _ in range(5):
                await rig.publish("flight.created", route="x" * 2_000)
            await rig.publish("flight.created")
            expected = stored(rig)
            assert all([await client.read_ids(expected[-1]) == expected for client in clients])
            assert all(len(each.received) < len(clients[-1].received) / 2 for each in clients[:9])

    play(scenario())


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_every_byte_is_in_its_place(seed: int) -> None:
    async def scenario() -> None:
        dice = random.Random(seed)
        async with live_rig(max_buffer_bytes=64 << 20) as rig:
            clients = [await Subscriber(rig, small=not number % 3).open() for number in range(24)]
            for _ in range(150):
                one = dice.choice(clients)
                match dice.randrange(6):
                    case 0 | 1:
                        await rig.publish("flight.created", route="x" * dice.choice([1, 500, 12_000]))
                    case 2:
                        await one.send(message(dice.choice(["status", "ping"])))
                    case 3:
                        await one.send(message("subscribe", channels=[dice.choice(["flight.*", "tmi.*"])]))
                    case 4:
                        await asyncio.sleep(0)
                    case 5:
                        for client in dice.sample(clients, 12):
                            await client.read(0)
            await rig.publish("flight.created")
            expected = stored(rig)
            for client in clients:
                found = await client.read_ids(expected[-1])
                assert found == expected[-len(found) :], "each event once, in order, from the first one on"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
