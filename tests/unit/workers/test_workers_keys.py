"""What a worker keeps of keys: one row for all clients of a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.followed_broker import linked_pair
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.keys.format import Tier
from swim_server.keys.records import Granted, KeyRecord
from swim_server.workers import messages
from swim_server.workers.authenticator import WorkerAuthenticator
from swim_server.workers.link import Link
from swim_server.workers.messages import Decided


@pytest.fixture
async def links() -> AsyncIterator[tuple[Link, Link]]:
    pair = await linked_pair()
    yield pair
    for link in pair:
        link.abort()
    await asyncio.wait([link.lost for link in pair])


async def test_clients_of_a_key_share_its_row_until_it_changes(links: tuple[Link, Link]) -> None:
    primary, worker = links
    row = KeyRecord(id=7, hint="swim_dev_…", tier=Tier.DEVELOPER, owner_name="a")
    primary.answer(messages.AUTHENTICATE, lambda _: Decided(granted=row))
    authenticator = WorkerAuthenticator(worker, clock=SYSTEM_CLOCK)
    first, second = [await authenticator.authenticate("swim_dev_x", "127.0.0.1") for _ in range(2)]
    assert isinstance(first, Granted) and isinstance(second, Granted)
    assert first.key == row and second.key is first.key
    row = KeyRecord(id=7, hint="swim_dev_…", tier=Tier.DEVELOPER, owner_name="b")
    third = await authenticator.authenticate("swim_dev_x", "127.0.0.1")
    assert isinstance(third, Granted) and third.key == row
    authenticator.forget(7)
    assert not authenticator.is_remembered("swim_dev_x", None)
