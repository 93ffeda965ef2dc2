"""Lookups: once per key, combined in few queries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from swim_server.keys.format import Tier
from swim_server.keys.lookups import Lookups
from swim_server.keys.records import KeyRecord
from swim_server.sql.errors import StoreUnavailable

ADA = KeyRecord(id=1, hint="…", tier=Tier.PUBLIC, owner_name="Ada")


class Finder:
    """Answers queries when it is told to."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()

    async def __call__(self, api_keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        self.queries.append(list(api_keys))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {"ada": ADA}


async def test_key_is_asked_for_once_and_everybody_gets_the_answer() -> None:
    finder = Finder()
    finder.gate.set()
    lookups = Lookups(finder)
    waiters = {lookups.begin(b"a", "ada") for _ in range(3)}
    assert len(waiters) == 1
    assert await waiters.pop() == ADA
    assert len(lookups) == 0
    assert finder.queries == [["ada"]]


async def test_what_arrives_while_queries_run_is_asked_by_the_next_one() -> None:
    finder = Finder()
    lookups = Lookups(finder, reader_limit=2, batch_limit=3)
    waiters = []
    for number in range(10):
        waiters.append(lookups.begin(b"%d" % number, str(number)))
        if number < 2:
            await asyncio.sleep(0)
    finder.gate.set()
    assert await asyncio.gather(*waiters) == [None] * 10
    assert finder.queries == [["0"], ["1"], ["2", "3", "4"], ["5", "6", "7"], ["8", "9"]]


async def test_failure_reaches_everybody_who_waits_and_the_next_is_asked_anew() -> None:
    finder = Finder()
    finder.gate.set()
    finder.failure = StoreUnavailable("away")
    lookups = Lookups(finder)
    for waiter in (lookups.begin(b"a", "ada"), lookups.begin(b"b", "bob")):
        with pytest.raises(StoreUnavailable):
            await waiter
    finder.failure = None
    assert await lookups.begin(b"a", "ada") == ADA


async def test_close_turns_everybody_away() -> None:
    lookups = Lookups(Finder(), reader_limit=1, batch_limit=1)
    waiters = [lookups.begin(b"a", "ada"), lookups.begin(b"b", "bob")]
    await asyncio.sleep(0)
    await lookups.close()
    for waiter in waiters:
        with pytest.raises(StoreUnavailable, match="stopping"):
            await waiter
    assert len(asyncio.all_tasks()) == 1
