"""What a feed's server answers with over a real connection."""

from __future__ import annotations

import asyncio

import pytest
from support.feed_server import FeedServer, feed_server
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.sources.feeds.http_feed import Answer, FeedTrouble, HttpFeed, Validators


async def asked(server: FeedServer, validators: Validators) -> Answer | None:
    async with HttpFeed(server.url, clock=SYSTEM_CLOCK) as feed:
        return await feed.get(validators)


def test_not_modified_since_nothing_is_trouble_and_no_answer() -> None:
    """A server or a cache on the way that says 304 to a first request has given nothing: the source is not well."""
    with feed_server(b"{}") as server:
        server.faults = [304]
        with pytest.raises(FeedTrouble) as trouble:
            asyncio.run(asked(server, Validators(None, None)))
    assert trouble.value.kind == "status 304"


def test_not_modified_since_the_last_answer_is_no_news() -> None:
    with feed_server(b"{}") as server:
        answer = asyncio.run(asked(server, Validators(None, None)))
        assert answer is not None
        assert asyncio.run(asked(server, answer.validators)) is None
