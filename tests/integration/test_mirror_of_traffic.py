"""The simulator's 300 flights: the SDK's mirror, and what ``swimctl flights --json`` says at the same event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from swim_client import SWIMClient
from swim_client.resume import EventId, parse_id

pytestmark = pytest.mark.unmeasured

FLIGHTS = 300
SECONDS = 60
Held = dict[Any, dict[str, Any]]


class Watcher:
    """Keeps what the mirror held at each event."""

    def __init__(self, client: SWIMClient) -> None:
        self._client = client
        self._held: dict[EventId, Held] = {}

    def look(self, _: object, __: object) -> None:
        """Take down what is held now: the mirror has every event before its handlers are called."""
        as_of, flights = self._client.flights.snapshot()
        found = parse_id(as_of)
        if found is not None:
            self._held[found] = {flight["flight_uid"]: flight for flight in flights}

    def __contains__(self, as_of: str) -> bool:
        """Whether the mirror was there at an event."""
        return order(as_of) >= min(self._held)

    async def held_at(self, as_of: str) -> Held:
        """Wait until the mirror is past an event, and return what it held there."""
        wanted = order(as_of)
        async with asyncio.timeout(SECONDS):
            while not any(each > wanted for each in self._held):
                await asyncio.sleep(0.05)
        return self._held[max(each for each in self._held if each <= wanted)]


def order(as_of: str) -> EventId:
    found = parse_id(as_of)
    assert found is not None, as_of
    return found


async def flights_now(daemon: LiveDaemon) -> tuple[str, Held]:
    """Ask as an operator does."""
    done = await asyncio.to_thread(daemon.swimctl, "flights", "--json", check=True)
    document = json.loads(done.stdout)
    return document["as_of"], {flight["flight_uid"]: flight for flight in document["flights"]}


async def test_mirror_equals_the_command_at_every_event_over_a_restart(tmp_path: Path) -> None:
    source = f"simulator?flights={FLIGHTS}&speed=60&seed=1"
    with live_daemon(tmp_path, sources=[source]) as daemon:
        client = SWIMClient(daemon.api_key("partner"), daemon.url, reconnect_interval=0.1)
        watcher = Watcher(client)
        client.on("*")(watcher.look)
        watching = daemon.spawn("flights", "--json", "--watch")
        assert watching.stdout is not None
        async with client:
            await client.snapshot()
            watcher.look(None, None)
            looks = [await flights_now(daemon)]
            while len(looks[-1][1]) < FLIGHTS * 0.9:  # the traffic begins
                looks = [await flights_now(daemon)]
            before = await asyncio.to_thread(lambda: daemon.info.pid)
            await asyncio.to_thread(daemon.swimctl, "restart", check=True)
            assert daemon.info.pid != before
            looks += [await flights_now(daemon), await flights_now(daemon)]
            assert all(len(flights) > FLIGHTS * 0.9 for _, flights in looks)
            after = looks[-1][0]
            while order(looks[-1][0]) <= order(after):  # it began to say them before the restart
                looks.append(await watched(watching.stdout))
            for as_of, flights in looks:
                if as_of not in watcher:  # told before the client had come
                    continue
                assert await watcher.held_at(as_of) == flights


async def watched(lines: Any) -> tuple[str, Held]:
    """Read what ``--watch`` says next."""
    document = json.loads(await asyncio.to_thread(lines.readline))
    return document["as_of"], {flight["flight_uid"]: flight for flight in document["flights"]}
