"""Raw sockets that break the rules: well-behaved clients are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from support.gateway_rig import client_frame, message, read_frames, upgrade_request
from support.live_daemon import LiveDaemon, comes_true, live_daemon
from support.wire_client import WireClient, dial
from websockets.frames import Opcode

CONFIG = """
[server]
heartbeat_seconds = 0.5
handshake_timeout_seconds = 1
close_timeout_seconds = 0.5
"""
SECONDS = 10.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("daemon"), config=CONFIG) as daemon:
        yield daemon


@pytest.fixture
async def bystander(daemon: LiveDaemon) -> AsyncIterator[WireClient]:
    """A well-behaved client: at the end it still gets its events, and everybody else is gone."""
    async with dial(daemon.url, daemon.api_key("system")) as client:
        await client.subscribe("tmi.*")
        yield client
        (id_,) = daemon.put(("tmi.issued", {}))
        assert (await client.events(1))[-1]["id"] == id_
        await comes_true(lambda: _open_files(daemon) is None or sum(daemon.counted().values()) == 1)
    assert "Traceback" not in daemon.everything_logged


def _open_files(daemon: LiveDaemon) -> int | None:
    import psutil

    return len(psutil.Process(daemon.info.pid).net_connections("tcp"))


def _memory(daemon: LiveDaemon) -> int:
    import psutil

    return int(psutil.Process(daemon.info.pid).memory_info().rss)


class Raw:
    """A TCP connection and what came back on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def abort(self) -> None:
        self.writer.transport.abort()

    def pause_reading(self) -> None:
        """Take nothing more out of the kernel's buffer."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    async def read_to_end(self) -> bytes:
        """Everything the server sends, until it hangs up."""
        data = b""
        async with asyncio.timeout(SECONDS):
            try:
                while chunk := await self.reader.read(65_536):
                    data += chunk
            except ConnectionError:
                pass
        return data


Connect = Callable[..., Awaitable[Raw]]


@pytest.fixture
async def connect(daemon: LiveDaemon, bystander: WireClient) -> AsyncIterator[Connect]:
    """Opens connections and sends the given parts; all are broken off when the test is over."""
    opened: list[Raw] = []

    async def open_raw(*parts: bytes) -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", daemon.port))
        opened.append(raw)
        for part in parts:
            raw.writer.write(part)
            await raw.writer.drain()
        return raw

    yield open_raw
    for raw in opened:
        raw.abort()
        with contextlib.suppress(ConnectionError):
            await raw.writer.wait_closed()


def _upgrade(daemon: LiveDaemon, tier: str = "system") -> bytes:
    return upgrade_request("/", f"X-API-Key: {daemon.api_key(tier)}")


async def test_garbage_is_answered_with_400_and_dropped(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    noise = random.Random(seed)
    for _ in range(20):
        raw = await connect(noise.randbytes(noise.randrange(1, 2000)) + b"\r\n\r\n")
        answer = await raw.read_to_end()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


async def test_request_of_a_browser_for_a_page_is_told_what_this_is(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    request = b"GET / HTTP/1.1\r\nHost: swim.test\r\nConnection: close\r\n\r\n"
    answer = await (await connect(request)).read_to_end()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"/api/swim/v1/ws" in answer


async def test_huge_head_is_refused(daemon: LiveDaemon, bystander: WireClient, connect: Connect) -> None:
    before = _memory(daemon)
    raw = await connect(b"GET / HTTP/1.1\r\n")
    try:
        for _ in range(200):
            raw.writer.write(b"X-Filler: " + b"x" * 50_000 + b"\r\n")
            await raw.writer.drain()
    except ConnectionError:
        pass
    assert b"HTTP/1.1 101" not in await raw.read_to_end()
    assert _memory(daemon) - before < 8_000_000


async def test_slow_head_is_cut_off_after_the_handshake_timeout(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    raw = await connect()
    began = asyncio.get_running_loop().time()

    async def drip() -> None:
        for byte in upgrade_request() * 10:
            raw.writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    await raw.read_to_end()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 3


async def test_thousand_half_open_connections_are_let_go(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    before = _open_files(daemon)
    assert before is not None
    idle = []
    for number in range(1000):
        client = socket.create_connection(("127.0.0.1", daemon.port))
        if number % 2:
            client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        idle.append(client)
    assert (await bystander.ask("ping"))["type"] == "pong"
    async with asyncio.timeout(SECONDS):
        while (_open_files(daemon) or 0) > before + 20:  # history and key store open files of their own now and then
            await asyncio.sleep(0.3)  # looking costs a while, in which the bystander's pings wait too
    for client in idle:
        client.close()


async def test_ten_megabyte_frame_is_refused_without_being_kept(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    before = _memory(daemon)
    raw = await connect(_upgrade(daemon))
    try:
        raw.writer.write(client_frame(b" " * 10_000_000))
        await raw.writer.drain()
    except ConnectionError:
        pass
    answer = await raw.read_to_end()
    body = answer.partition(b"\r\n\r\n")[2]
    assert b"MESSAGE_TOO_LARGE" in body
    opcode, payload = read_frames(body)[-1]
    assert (opcode, int.from_bytes(payload[:2], "big")) == (Opcode.CLOSE, 1009)
    assert _memory(daemon) - before < 20_000_000


async def test_unmasked_frame_and_reserved_bits_are_a_protocol_error(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    for frame in (b"\x81\x02{}", b"\xf1\x80\x00\x00\x00\x00", b"\x83\x80\x00\x00\x00\x00"):
        body = (await (await connect(_upgrade(daemon), frame)).read_to_end()).partition(b"\r\n\r\n")[2]
        assert int.from_bytes(read_frames(body)[-1][1][:2], "big") == 1002


async def test_pings_without_end_of_a_client_that_never_reads_take_no_memory(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    before = _memory(daemon)
    raw = await connect(_upgrade(daemon))
    flood = client_frame(b"x" * 125, Opcode.PING) * 500
    try:
        async with asyncio.timeout(5):
            while True:
                raw.writer.write(flood)
                await raw.writer.drain()
    except (TimeoutError, ConnectionError):
        pass
    assert _memory(daemon) - before < 20_000_000
    raw.abort()


async def test_subscriber_that_never_reads_is_let_go_and_its_neighbours_lose_nothing(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    raw = await connect(_upgrade(daemon), message("subscribe", channels=["tmi.*"]))
    raw.pause_reading()
    raw.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await comes_true(lambda: daemon.call("status")["subscription_groups"] >= 1)
    pad = "x" * 50_000
    for number in range(200):
        await asyncio.to_thread(daemon.put, ("tmi.modified", {"number": number, "pad": pad}))
        assert [event["data"]["number"] for event in await bystander.events(1)] == [number]
    await comes_true(lambda: daemon.call("status")["slow_consumers"]["closed"] >= 1)
    raw.abort()


async def test_subscriber_that_half_closes_without_reading_harms_nobody(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    """Its group goes on: a write after the half-close must not raise where the others' frames are written."""
    raws = [await connect(_upgrade(daemon), message("subscribe", channels=["tmi.*"])) for _ in range(5)]
    await comes_true(lambda: sum(daemon.counted().values()) == 6)
    pad = "x" * 30_000
    for raw in raws:
        raw.pause_reading()
    for number in range(40):
        await asyncio.to_thread(daemon.put, ("tmi.modified", {"number": number, "pad": pad}))
        if number == 20:
            for raw in raws:
                raw.writer.write_eof()
        assert [event["data"]["number"] for event in await bystander.events(1)] == [number]
    for raw in raws:
        raw.abort()


async def test_clients_that_vanish_in_every_moment_leave_nothing(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    stream = (
        _upgrade(daemon) + message("subscribe", channels=["*"]) + message("status") + client_frame(b"", Opcode.PING)
    )
    for cut in range(1, len(stream), 9):
        raw = await connect(stream[:cut])
        if cut % 2:
            raw.abort()
        else:
            raw.writer.close()
        if not cut % 5:
            await asyncio.sleep(0.01)
    await comes_true(lambda: sum(daemon.counted().values()) == 1)


async def test_many_requests_down_one_connection_are_one_request(
    daemon: LiveDaemon, bystander: WireClient, connect: Connect
) -> None:
    raw = await connect(upgrade_request("/nowhere") * 50)
    assert (await raw.read_to_end()).count(b"HTTP/1.1") == 1
