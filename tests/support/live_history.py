"""One history on a real daemon: clients come, go, resume and ask while events stream in, across kills and restarts.

What each of them has, whenever it received a whole state and at the end, is compared with a naive fold of history's
events: over WebSockets, server-sent events and plain HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import psutil
from support.any_filters import Dice
from support.live_daemon import LiveDaemon
from support.naive_mirror import FAMILY_KINDS, NaiveMirror, id_of
from support.naive_state import HistoryDice, naive_fold
from support.wire_client import WireClient, open_client
from swim_server.protocol.filters import EMPTY, Filters
from websockets.exceptions import WebSocketException

CHANNELS = (["flight.*"], ["*"], ["flight.*", "tmi.*"], ["tmi.*", "splits.*", "aman.*"])
CONFIG = """
[tiers.partner]
messages_per_second = 1000
requests_per_minute = 1000000
[tiers.system]
requests_per_minute = 1000000
"""
SECONDS = 120.0
"""How long anything may take on a busy machine."""
Entries = dict[str, dict[Any, dict[str, Any]]]


class Consumer:
    """One client across its connections: its mirror, and each whole state that it received."""

    def __init__(self, daemon: LiveDaemon, key: str, dice: random.Random, filters: Filters) -> None:
        self._daemon, self._key, self._dice = daemon, key, dice
        self.filters, self.channels = filters, dice.choice(CHANNELS)
        self.mirror = NaiveMirror(has_filters=bool(filters))
        self.states: list[tuple[str, Entries]] = []
        """The last event of each state, with what was held then."""
        self.status: dict[str, Any] = {}
        self.pause_seconds = 0.0
        self._client: WireClient | None = None
        self._epoch: str | None = None

    async def run(self) -> None:
        """Connect, read until the connection ends, and repeat; until cancelled."""
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                await self._live()
            self._client = None
            await asyncio.sleep(0.05)

    async def _live(self) -> None:
        compression = self._dice.choice((None, "deflate"))
        client = await open_client(self._daemon.url, self._key, compression=compression)
        try:
            greeting = await client.next()
            assert greeting["type"] == "connected", greeting
            how: dict[str, Any] = {"state": True}
            if self.mirror.states and self.mirror.last_id is not None:
                how = {"after": self.mirror.last_id, "epoch": self._epoch, "state": "on_gap"}
            self._epoch = greeting["data"]["epoch"]
            await client.send(
                {"action": "subscribe", "channels": self.channels, "filters": self.filters.to_wire(),
                 "max_message_bytes": self._dice.choice((65_535, 4096)), **how}
            )  # fmt: skip
            self._client = client
            while True:
                if self.pause_seconds:
                    await asyncio.sleep(self.pause_seconds)
                    self.pause_seconds = 0.0
                self._take(json.loads(await client.connection.recv()))
        finally:
            client.connection.transport.abort()

    def _take(self, message: dict[str, Any]) -> None:
        before = self.mirror.states
        self.mirror.take(message)
        if message["type"] == "subscribed":
            assert message["gap"] is False, message
        elif message["type"] == "status":
            self.status = message["data"]
        if self.mirror.states > before:
            held = {kind: dict(entries) for kind, entries in self.mirror.held.items()}
            self.states.append((message["as_of"], held))

    async def say(self, **message: Any) -> None:
        """Send something, if connected."""
        if self._client is not None:
            with contextlib.suppress(WebSocketException, OSError):
                await self._client.send(message)

    def drop(self) -> None:
        """Break the connection."""
        if self._client is not None:
            self._client.connection.transport.abort()

    async def settle(self, newest: str) -> None:
        """Wait until everything up to an event has arrived: an answer comes after it."""
        async with asyncio.timeout(SECONDS):
            while self.status.get("catching_up", True) or id_of(self.status["last_event_id"]) < id_of(newest):
                await self.say(action="status")
                await asyncio.sleep(0.05)
            self.status = {}
            while not self.status:  # a state on its way precedes the answer to what is asked now
                await self.say(action="status")
                await asyncio.sleep(0.05)

    def expected(self, world: Entries) -> Entries:
        families = FAMILY_KINDS if "*" in self.channels else [each.partition(".")[0] for each in self.channels]
        return {
            FAMILY_KINDS[family]: {
                key: entry
                for key, entry in world[FAMILY_KINDS[family]].items()
                if self.filters.passes(f"{family}.state", entry)
            }
            for family in families
        }


class Follower:
    """A client of server-sent events: the ids of everything it received, across its connections."""

    def __init__(self, history: LiveHistory) -> None:
        self._history = history
        self.begins_after: str | None = None
        self.ids: list[str] = []
        self._response: aiohttp.ClientResponse | None = None

    async def run(self) -> None:
        """Connect, read until the stream ends, and repeat; until cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._live()
            await asyncio.sleep(0.05)

    async def _live(self) -> None:
        seen = self.ids[-1] if self.ids else self.begins_after
        headers = {**self._history.headers, **({"Last-Event-ID": seen} if seen else {})}
        url = f"{self._history.url}/stream?channels=flight.*,tmi.*"
        async with self._history.http.get(url, headers=headers) as response:
            self._response = response
            if response.status != 200:  # a process that is about to leave
                return
            fields: dict[str, str] = {}
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name in ("id", "event", "data"):
                    fields[name] = value
                elif not line.strip() and fields:
                    self._take(fields)
                    fields = {}

    def _take(self, fields: dict[str, str]) -> None:
        if "id" in fields:
            self.ids.append(fields["id"])
        elif fields["event"] == "subscribed":
            answer = json.loads(fields["data"])
            assert answer["gap"] is False, answer
            self.begins_after = self.begins_after or answer["last_event_id"]

    def drop(self) -> None:
        """Break the connection."""
        if self._response is not None:
            self._response.close()


class LiveHistory:
    """Plays one history. ``daemon`` serves, with ``CONFIG``."""

    def __init__(self, daemon: LiveDaemon, seed: int, *, clients: int = 4) -> None:
        self.daemon, self.dice = daemon, random.Random(seed)
        self.http: aiohttp.ClientSession
        self.headers = {"Authorization": f"Bearer {daemon.api_key('partner')}"}
        self.url = f"http://127.0.0.1:{daemon.port}"
        self._seed = seed
        self._publisher_headers = {"Authorization": f"Bearer {daemon.api_key('system')}"}
        self._events = HistoryDice(seed)
        self._acknowledged: list[str] = []
        self._looks: list[tuple[str, Filters, list[dict[str, Any]]]] = []
        """States over HTTP: as of an event, with filters."""
        any_filters, key = Dice(seed), daemon.api_key("partner")
        self.consumers = [
            Consumer(daemon, key, self.dice, self.dice.choice((EMPTY, any_filters.filters()))) for _ in range(clients)
        ]
        self._follower = Follower(self)
        self._is_over = False
        self._leaving: list[int] = []

    async def play(self, what: list[str], *, steps_between: int = 12) -> int:
        """Do these things (kill, restart, reload), with random steps before, between and after.

        Returns how many whole states were checked.
        """
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)) as self.http:
            readers = [asyncio.create_task(consumer.run()) for consumer in self.consumers]
            readers.append(asyncio.create_task(self._follower.run()))
            publisher = asyncio.create_task(self._publish())
            try:
                for happening in (*what, None):
                    for _ in range(steps_between):
                        await self._step()
                        await asyncio.sleep(self.dice.uniform(0, 0.03))
                    if happening is not None:
                        await asyncio.to_thread(getattr(self, f"_{happening}"))
                self._is_over = True
                await publisher
                await self._settle(readers)
                return await self._check()
            finally:
                for task in (*readers, publisher):
                    task.cancel()
                found = await asyncio.gather(*readers, publisher, return_exceptions=True)
                for error in found:
                    if isinstance(error, AssertionError):
                        raise error

    async def _settle(self, readers: list[asyncio.Task[None]]) -> None:
        """Wait until every client has everything; raise what a reader found wrong."""
        settling = [asyncio.create_task(each.settle(self._acknowledged[-1])) for each in self.consumers]
        for task in settling:
            await asyncio.wait([task, *readers], return_when=asyncio.FIRST_COMPLETED)
            for reader in readers:
                if reader.done():  # none of them ends by itself
                    reader.result()
            await task

    async def _publish(self) -> None:
        """Publish bursts one after the other, each until acknowledged: its event ids make it count once."""
        number = 0
        while not self._is_over or number < 20:
            rows = []
            for _ in range(self.dice.randint(1, 6)):
                event, number = self._events.new_event(), number + 1
                rows.append({"type": event.type, "data": event.data, "event_id": f"{self._seed}-{number}"})
            body = b"\n".join(json.dumps(row).encode() for row in rows)
            self._acknowledged += await self._store(body)
            await asyncio.sleep(self.dice.uniform(0, 0.02))

    async def _store(self, body: bytes) -> list[str]:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                url = f"{self.url}/events"
                async with self.http.post(url, data=body, headers=self._publisher_headers) as answer:
                    text = await answer.text()
                    if answer.status == 200:
                        return [json.loads(line)["id"] for line in text.splitlines()]
                    assert answer.status == 503, text
            await asyncio.sleep(0.05)

    async def _step(self) -> None:
        consumer = self.dice.choice(self.consumers)
        match self.dice.randrange(8):
            case 0 | 1:
                consumer.drop()
            case 2 | 3:
                await consumer.say(action="subscribe", channels=consumer.channels, state=True)
            case 4:
                consumer.pause_seconds = 0.2
            case 5:
                self._follower.drop()
            case _:
                await self._look(consumer.filters)

    async def _look(self, filters: Filters) -> None:
        """Request the flights over HTTP; if the service is gone, another time."""
        query = {name: _in_query(value) for name, value in filters.to_wire().items()}
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with self.http.get(f"{self.url}/flights", params=query, headers=self.headers) as answer:
                document = await answer.json()
                if answer.status == 200:
                    assert answer.headers["X-SWIM-As-Of"] == document["as_of"]
                    self._looks.append((document["as_of"], filters, document["flights"]))
                else:
                    assert answer.status == 503, document

    # What happens to the daemon. Each blocks.

    def _kill(self) -> None:
        for pid in self._leaving:  # else it would still have the home when the next one starts
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).wait(SECONDS)
        port, serving = self.daemon.port, psutil.Process(self.daemon.info.pid)
        os.kill(serving.pid, 9)
        serving.wait(SECONDS)
        if self.daemon.process is not None:
            self.daemon.process.wait()
        self.daemon.start(port=port)

    def _restart(self) -> None:
        self._leaving.append(self.daemon.info.pid)
        self.daemon.call("restart")

    def _reload(self) -> None:
        self.daemon.call("reload")

    # The truth.

    async def _check(self) -> int:
        events = await self._stored()
        assert set(self._acknowledged) <= {event["id"] for event in events}, "what was acknowledged is stored"
        claims: list[tuple[str, Callable[[Entries], None]]] = []
        for consumer in self.consumers:
            for as_of, held in consumer.states:
                claims.append((as_of, _claim(consumer, held)))
        claims += [(as_of, _claim_look(filters, rows)) for as_of, filters, rows in self._looks]
        told = [(event["type"], event["timestamp"], event["data"]) for event in events]
        ids = [id_of(event["id"]) for event in events]
        for as_of, claim in claims:
            count = sum(each <= id_of(as_of) for each in ids)
            claim(naive_fold(told[:count]))
        world = naive_fold(told)
        for consumer in self.consumers:
            _claim(consumer, consumer.mirror.held)(world)
        await self._check_follower(events)
        return len(claims)

    async def _stored(self) -> list[dict[str, Any]]:
        """Read all of history, page by page."""
        events: list[dict[str, Any]] = []
        after = "0-0"
        while True:
            url = f"{self.url}/events?after={after}&limit=1000"
            async with self.http.get(url, headers=self._publisher_headers) as answer:
                page = await answer.json()
            events += page["events"]
            after = page["next_after"]
            if page["is_last"]:
                return events

    async def _check_follower(self, events: list[dict[str, Any]]) -> None:
        begin = self._follower.begins_after
        assert begin is not None, "the stream has begun"
        wanted = [
            event["id"]
            for event in events
            if id_of(event["id"]) > id_of(begin) and event["type"].startswith(("flight.", "tmi."))
        ]
        async with asyncio.timeout(SECONDS):
            while len(self._follower.ids) < len(wanted):
                await asyncio.sleep(0.05)
        assert self._follower.ids == wanted


def _in_query(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(str(value[edge]) for edge in ("north", "south", "east", "west"))
    return ",".join(value) if isinstance(value, list) else str(value)


def _claim(consumer: Consumer, held: Entries) -> Callable[[Entries], None]:
    def check(world: Entries) -> None:
        assert held == consumer.expected(world), (consumer.channels, consumer.filters)

    return check


def _claim_look(filters: Filters, rows: list[dict[str, Any]]) -> Callable[[Entries], None]:
    def check(world: Entries) -> None:
        wanted = [flight for flight in world["flights"].values() if filters.passes("flight.state", flight)]
        assert sorted(rows, key=str) == sorted(wanted, key=str), filters

    return check
