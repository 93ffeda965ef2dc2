"""A plain HTTP connection has limits: bytes, time to arrive, time to be read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from support.fake_transport import FakeTransport
from support.virtual_clock import VirtualClock
from swim_server.concurrency.tasks import Tasks
from swim_server.gateway.http.plain_connection import (
    LEAST_TAKEN_BYTES,
    MAX_REQUEST_BYTES,
    REQUEST_SECONDS,
    PlainConnection,
)
from swim_server.gateway.http.protocols import HttpConnection

HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Server(asyncio.Protocol):
    """The HTTP server's side: takes what comes and answers nothing."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = False

    async def protocol(self, connection: HttpConnection) -> asyncio.Protocol:
        return self

    def forget(self, protocol: asyncio.Protocol) -> None:
        assert protocol is self

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


class Owner:
    """The endpoint's side."""

    def __init__(self) -> None:
        self.did: list[Any] = []

    def read_plain(self) -> None:
        self.did.append("read")

    def stay_plain(self) -> None:
        self.did.append("stay")

    def admit_stream(self) -> None:
        self.did.append("stream")

    def shake_hands(self, head: bytes) -> None:
        self.did.append(head)

    def abort(self) -> None:
        self.did.append("abort")


class Rig:
    def __init__(self) -> None:
        self.soon: deque[Callable[[], None]] = deque()
        self.clock, self.owner, self.server = VirtualClock(), Owner(), Server()
        self.transport = FakeTransport(self.soon.append, ("192.0.2.1", 1))
        self.transport.connect(asyncio.Protocol())
        self.plain = PlainConnection(self.owner, self.transport, max_head_bytes=1000, monotonic=self.clock.monotonic)

    async def begin(self, data: bytes = HEAD) -> None:
        self.plain.receive(data)
        tasks = Tasks(lambda error: None)
        self.plain.serve(self.server, tasks)
        await asyncio.sleep(0.01)
        await tasks.close()

    def answer(self) -> None:
        """Let the server have answered, as the middleware says it."""
        self.plain.is_between_requests = False
        self.plain.is_between_requests = True


@pytest.fixture
async def rig() -> Rig:
    found = Rig()
    await found.begin()
    return found


async def test_what_came_before_the_server_was_there_is_handed_over(rig: Rig) -> None:
    assert (rig.server.received, rig.owner.did) == (HEAD, ["read"])


async def test_request_that_comes_byte_by_byte_is_refused_in_time(rig: Rig) -> None:
    for _ in range(int(REQUEST_SECONDS)):
        rig.clock.seconds += 1
        rig.plain.receive(b"x")
    assert rig.transport.received == b""
    rig.clock.seconds += 1
    rig.plain.receive(b"x")
    head, _, body = bytes(rig.transport.received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'"REQUEST_TIMEOUT"' in body
    assert rig.transport.is_closing()


async def test_later_head_that_comes_byte_by_byte_is_refused_too(rig: Rig) -> None:
    rig.answer()
    rig.clock.seconds += 10 * REQUEST_SECONDS  # between two requests it may be idle: the endpoint sees to that
    for byte in HEAD[:20]:
        rig.plain.receive(bytes([byte]))
        rig.clock.seconds += REQUEST_SECONDS / 18
    assert bytes(rig.transport.received).startswith(b"HTTP/1.1 408 ")


async def test_requests_that_follow_each_other_have_their_time_each(rig: Rig) -> None:
    for _ in range(10):
        rig.answer()
        rig.clock.seconds += REQUEST_SECONDS / 2
        rig.plain.receive(HEAD)
    assert rig.server.received == HEAD * 11
    assert rig.owner.did == ["read"]


async def test_slow_request_behind_an_answer_on_its_way_ends_the_connection_without_another(rig: Rig) -> None:
    rig.transport.stop_reading()
    rig.transport.write(b"HTTP/1.1 200 OK")
    rig.clock.seconds += REQUEST_SECONDS + 1
    rig.plain.receive(b"x")
    assert rig.owner.did[-1] == "abort"
    assert b"408" not in rig.transport.received


async def test_too_many_bytes_of_one_request_end_the_connection(rig: Rig) -> None:
    rig.plain.receive(bytes(MAX_REQUEST_BYTES))
    assert rig.owner.did[-1] == "abort"


async def test_answer_that_is_being_read_keeps_the_connection_and_one_that_is_not_does_not(rig: Rig) -> None:
    assert not rig.plain.is_taken(), "nothing is being sent"
    rig.transport.stop_reading()
    rig.transport.write(bytes(10 * LEAST_TAKEN_BYTES))
    assert rig.plain.is_taken(), "it has just been written"
    assert not rig.plain.is_taken()
    rig.transport.read_some(LEAST_TAKEN_BYTES - 1)
    assert not rig.plain.is_taken(), "a byte now and then is not enough"
    rig.transport.read_some(LEAST_TAKEN_BYTES)
    assert rig.plain.is_taken()
    rig.transport.start_reading()
    assert not rig.plain.is_taken(), "all of it was taken: from here on it is idle"


async def test_later_upgrade_is_handed_back_and_the_server_lets_go(rig: Rig) -> None:
    rig.answer()
    rig.plain.receive(UPGRADE)
    assert rig.owner.did[-1] == UPGRADE
    assert rig.server.is_lost
