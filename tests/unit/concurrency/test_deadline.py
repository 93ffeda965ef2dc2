"""A deadline blames nobody outside for a loop that was busy itself."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from swim_server.concurrency.deadline import answered_within

Scenario = Callable[[socket.socket, asyncio.StreamReader], Awaitable[None]]
Play = Callable[[Scenario], None]
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(params=LOOPS)
def play(request: pytest.FixtureRequest) -> Play:
    """Run a scenario with one end of a connection, and what reads at the other end, on each kind of loop."""

    def run(scenario: Scenario) -> None:
        async def connected() -> None:
            ours, theirs = socket.socketpair()
            with theirs:
                reader, writer = await asyncio.open_connection(sock=ours)
                await scenario(theirs, reader)
                writer.close()
                await writer.wait_closed()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(connected())

    return run


def test_what_came_in_time_counts_though_the_loop_was_busy_until_later(play: Play) -> None:
    async def scenario(theirs: socket.socket, reader: asyncio.StreamReader) -> None:
        async def ask() -> bytes:
            async with answered_within(0.05):
                return await reader.readexactly(6)

        asked = asyncio.create_task(ask())
        await asyncio.sleep(0)
        theirs.send(b"answer")
        time.sleep(0.15)  # as a long turn of the loop
        assert await asked == b"answer"

    play(scenario)


def test_without_an_answer_it_ends(play: Play) -> None:
    async def scenario(theirs: socket.socket, reader: asyncio.StreamReader) -> None:
        with pytest.raises(TimeoutError):
            async with answered_within(0.01):
                await reader.readexactly(6)

    play(scenario)


def test_a_cancellation_is_passed_on(play: Play) -> None:
    async def scenario(theirs: socket.socket, reader: asyncio.StreamReader) -> None:
        async def ask() -> None:
            async with answered_within(30):
                await reader.readexactly(6)

        asked = asyncio.create_task(ask())
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    play(scenario)
