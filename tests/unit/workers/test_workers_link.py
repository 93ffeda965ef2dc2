"""The link between primary and worker, and a worker's counting of connections on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.followed_broker import linked_pair
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent
from swim_server.gateway.rpc import RpcError
from swim_server.sql.errors import StoreUnavailable
from swim_server.streaming.admission import LimitReached, TierLimit
from swim_server.workers import messages
from swim_server.workers.admission import WorkerAdmission
from swim_server.workers.link import Link, LinkLost, Question
from swim_server.workers.messages import Claimed, Place

ECHO = Question("echo", str, str)


@pytest.fixture
async def links() -> AsyncIterator[tuple[Link, Link]]:
    pair = await linked_pair()
    yield pair
    for link in pair:
        link.abort()
    await asyncio.wait([link.lost for link in pair])


async def test_messages_keep_their_order_whatever_their_size(links: tuple[Link, Link]) -> None:
    primary, worker = links
    seen: list[str] = []
    worker.on(messages.LOG, seen.append)
    worker.answer(ECHO, lambda text: text)
    texts = [str(number) * (1 if number % 3 else 100_000) for number in range(30)]
    for text in texts:
        primary.tell(messages.LOG, text)
    assert await primary.ask(ECHO, "end") == "end"
    assert seen == texts


@pytest.mark.parametrize(
    "error",
    [BrokerUnavailable("no disk"), InvalidEvent(3, "not JSON"), StoreUnavailable("away"), RpcError(-32004, "none")],
    ids=lambda error: type(error).__name__,
)
async def test_errors_cross_as_what_they_are(links: tuple[Link, Link], error: Exception) -> None:
    async def fail(_: str) -> str:
        raise error

    links[1].answer(ECHO, fail)
    with pytest.raises(type(error)) as raised:
        await links[0].ask(ECHO, "")
    assert str(raised.value) == str(error)


async def test_questions_fail_once_the_other_process_is_gone(links: tuple[Link, Link]) -> None:
    primary, worker = links

    async def never(_: str) -> str:
        await asyncio.sleep(3600)
        return ""

    worker.answer(ECHO, never)
    asked = primary.ask(ECHO, "")
    await asyncio.sleep(0)
    worker.abort()
    with pytest.raises(LinkLost):
        await asked
    with pytest.raises(LinkLost):
        await primary.ask(ECHO, "")


async def test_place_granted_to_a_client_that_has_left_is_given_back(links: tuple[Link, Link]) -> None:
    primary, worker = links
    places: list[str] = []

    def grant(place: Place) -> Claimed:
        places.append(f"+{place.key_id}")
        return Claimed()

    primary.answer(messages.CLAIM, grant)
    primary.on(messages.RELEASE, lambda place: places.append(f"-{place.key_id}"))
    primary.answer(ECHO, lambda text: text)
    admission = WorkerAdmission({"public": TierLimit(5)}, worker)
    claiming = asyncio.create_task(admission.claim("public", 1))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    for _ in range(3):
        await worker.ask(ECHO, "")
    assert places == ["+1", "-1"]
    assert admission.current("public") == 0


async def test_refused_place_says_which_limit_is_reached(links: tuple[Link, Link]) -> None:
    reached = LimitReached("public", 5, 5)
    links[0].answer(messages.CLAIM, lambda place: Claimed(reached))
    admission = WorkerAdmission({"public": TierLimit(5)}, links[1])
    assert await admission.claim("public", 1) is False
    assert admission.admit("public", 1) == reached
