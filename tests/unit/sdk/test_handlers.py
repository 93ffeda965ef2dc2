"""Handlers: which are called, with which arguments, and that none can stop the stream."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest
from swim_client import SWIMClient
from swim_client.dispatcher import Handlers, NotHandled, count_arguments
from swim_client.events import Event, decode

EVENT = decode({"type": "flight.departed", "timestamp": "t", "data": {"callsign": "A"}})


async def called(pattern: str, make: Any) -> list[Any]:
    calls: list[Any] = []
    handlers = Handlers()
    handlers.add((pattern,), make(calls))
    await handlers.hand_over(EVENT)
    return calls


async def test_a_handler_gets_event_and_timestamp() -> None:
    def make(calls: list[Any]) -> Any:
        def handler(event: Event, timestamp: str) -> None:
            calls.append((event, timestamp))

        return handler

    assert await called("flight.departed", make) == [(EVENT, "t")]


@pytest.mark.parametrize(
    ("pattern", "make", "expected"),
    [
        ("flight.*", lambda calls: lambda event: calls.append((event,)), (EVENT,)),
        ("flight.*", lambda calls: lambda: calls.append(()), ()),
        ("flight.*", lambda calls: lambda a, b, c: calls.append((a, b, c)), (EVENT, "t", "flight.departed")),
        ("flight.departed", lambda calls: lambda a, b, c: calls.append((a, b, c)), (EVENT, "t", "flight.departed")),
        ("flight.departed", lambda calls: lambda a, b, c=0: calls.append((a, b, c)), (EVENT, "t", 0)),
        ("flight.*", lambda calls: lambda *a: calls.append(a), (EVENT, "t", "flight.departed")),
        ("flight.departed", lambda calls: lambda *a: calls.append(a), (EVENT, "t")),
        ("*", lambda calls: functools.partial(lambda a, b: calls.append((a, b)), EVENT), (EVENT, EVENT)),
        ("*", lambda calls: calls.append, EVENT),
    ],
)
async def test_it_is_called_with_as_much_as_it_takes(pattern: str, make: Any, expected: Any) -> None:
    assert await called(pattern, make) == [expected]


async def test_an_async_handler_is_awaited_before_the_next_is_called() -> None:
    calls = []
    handlers = Handlers()

    async def slow(event: Event, timestamp: str) -> None:
        await asyncio.sleep(0)
        calls.append("slow")

    handlers.add(("*",), slow)
    handlers.add(("flight.departed",), lambda event, timestamp: calls.append("exact"))
    await handlers.hand_over(EVENT)
    assert calls == ["slow", "exact"]


async def test_one_that_raises_is_logged_and_the_next_is_called(caplog: pytest.LogCaptureFixture) -> None:
    calls = []
    handlers = Handlers()

    def broken(event: Event, timestamp: str) -> None:
        raise KeyError("boom")

    handlers.add(("*",), broken)
    handlers.add(("*",), lambda event, timestamp: calls.append(1))
    with caplog.at_level(logging.ERROR, "swim_client"):
        await handlers.hand_over(EVENT)
    assert calls == [1]
    assert "a handler of flight.departed failed" in caplog.text
    assert "boom" in caplog.text


async def test_one_that_is_cancelled_from_within_does_not_end_the_stream() -> None:
    if not hasattr(asyncio.Task, "cancelling"):
        pytest.skip("Python before 3.11 can't tell the two apart")
    calls = []
    handlers = Handlers()

    async def waits_for_a_cancelled_task(event: Event) -> None:
        task = asyncio.ensure_future(asyncio.sleep(10))
        task.cancel()
        await task

    handlers.add(("*",), waits_for_a_cancelled_task)
    handlers.add(("*",), lambda event: calls.append(1))
    await handlers.hand_over(EVENT)
    assert calls == [1]


async def test_a_pattern_of_several_calls_once() -> None:
    calls: list[Event] = []
    handlers = Handlers()
    handlers.add(("flight.*", "flight.departed", "*"), calls.append)
    await handlers.hand_over(EVENT)
    assert len(calls) == 1


async def test_what_is_not_handled_says_so() -> None:
    handlers = Handlers()

    async def gone(event: Event) -> None:
        raise NotHandled

    handlers.add(("*",), gone)
    with pytest.raises(NotHandled):
        await handlers.hand_over(EVENT)


async def test_handlers_can_be_taken_away() -> None:
    calls: list[int] = []
    client = SWIMClient("key")

    @client.on("flight.*")
    def first(event: Event) -> None:
        calls.append(1)

    @client.on("flight.*")
    def second(event: Event) -> None:
        calls.append(2)

    client.remove_handler("flight.*", first)
    await client._handlers.hand_over(EVENT)
    client.remove_handler("flight.*")
    await client._handlers.hand_over(EVENT)
    assert calls == [2]


def test_the_decorator_gives_the_function_back() -> None:
    client = SWIMClient("key")

    @client.on("connected")
    def handler(info: Any, timestamp: str) -> str:
        return "mine"

    assert handler(None, "") == "mine"


def test_what_can_never_be_called_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="a handler is a function"):
        SWIMClient("key").add_handler("*", "print")  # type: ignore[arg-type]  # a wrong type is the test
    with pytest.raises(TypeError, match="needs 4 arguments"):
        SWIMClient("key").add_handler("*", lambda a, b, c, d: None)


def test_builtins_without_a_signature_get_two() -> None:
    assert count_arguments(dict, is_wildcard=True) in (2, 3)
    assert count_arguments(print, is_wildcard=False) == 2
