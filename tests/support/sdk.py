"""An SDK client that records everything it receives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from swim_client import SWIMClient

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"


class Listener:
    """Handlers for everything, and what they received."""

    def __init__(self, url: str, channels: Sequence[str] = ("flight.departed",), **settings: Any) -> None:
        settings = {"api_key": KEY, "reconnect_interval": 0.01, **settings}
        self.client = SWIMClient(url=url, **settings)
        self.events: list[Any] = []
        """Every event but heartbeats."""
        self.connections: list[Any] = []
        self.disconnections: list[Any] = []
        self.reconnections: list[Any] = []
        self.gaps: list[Any] = []
        self.errors: list[Any] = []
        self.order: list[str] = []
        """The types of everything, in the order in which it came."""
        self.client.add_handler("*", self._take)
        for name, target in (
            ("connected", self.connections),
            ("disconnected", self.disconnections),
            ("reconnected", self.reconnections),
            ("gap", self.gaps),
            ("error", self.errors),
        ):
            self.client.add_handler(name, self._noting(name, target))
        if channels:
            self.client.subscribe(list(channels))

    def _take(self, event: Any, timestamp: str) -> None:
        self.order.append(event.type)
        if event.type != "system.heartbeat":
            self.events.append(event)

    def _noting(self, name: str, target: list[Any]) -> Any:
        def note(news: Any, timestamp: str) -> None:
            self.order.append(name)
            target.append(news)

        return note

    @property
    def numbers(self) -> list[Any]:
        """The field ``n`` of every event."""
        return [event.get("n") for event in self.events]

    async def got(self, count: int) -> None:
        """Wait until this many events have arrived."""
        await until(lambda: len(self.events) >= count)


async def until(condition: Any, seconds: float = 30) -> None:
    """Wait until the condition holds; fail after this many seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def run(client: SWIMClient) -> AsyncIterator[SWIMClient]:
    """Run the client beside the block, and stop it at its end."""
    running = asyncio.ensure_future(client.run_async())
    try:
        yield client
    finally:
        client.stop()
        await asyncio.wait_for(running, 10)
