"""Publishers that never give up on an event, and subscribers that check what they receive."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swim_client import SWIMClient
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import WebSocketException

TROUBLES = (OSError, WebSocketException, TimeoutError, EOFError)


class Ledger:
    """What was acknowledged: the numbers that every subscriber must receive exactly once."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}
        """Name of the event → its id."""
        self.written: set[str] = set()
        """Names of events given to the event file: there is no acknowledgement, but they may not be lost."""
        self.retries = 0
        self.conflicts: list[str] = []
        """An event that was acknowledged with two ids."""

    def acknowledge(self, name: str, event_id: str) -> None:
        if self.acknowledged.setdefault(name, event_id) != event_id:
            self.conflicts.append(f"{name}: {self.acknowledged[name]} and {event_id}")

    @property
    def expected(self) -> set[str]:
        return self.acknowledged.keys() | self.written


class Pace:
    """Keeps publishers running until the end, and lets a fault wait for a publication."""

    def __init__(self) -> None:
        self.is_over = False
        self.pause_seconds = 0.02
        """The longest pause between two batches of the control socket's publisher."""
        self.on_publish: Callable[[], None] | None = None
        """Called once, at the next publication, before its answer."""

    def published(self) -> None:
        hook, self.on_publish = self.on_publish, None
        if hook is not None:
            hook()


async def publish_by_control(socket_path: Path, ledger: Ledger, pace: Pace, rng: random.Random) -> None:
    """Publish numbered batches over the control socket; repeat each with its event ids until acknowledged."""
    number = 0
    pending: list[str] = []
    while not pace.is_over or pending:
        try:
            async with unix_connect(str(socket_path), "ws://swim/api/swim/v1/ws", open_timeout=5) as link:
                await link.recv()
                while not pace.is_over or pending:
                    if not pending:
                        pending = [f"control-{number + index}" for index in range(rng.randint(1, 20))]
                        number += len(pending)
                    ids = await asyncio.wait_for(_publish_batch(link, pending, pace), 10)
                    for name, event_id in zip(pending, ids, strict=True):
                        ledger.acknowledge(name, event_id)
                    pending = []
                    await asyncio.sleep(rng.uniform(0, pace.pause_seconds))
        except TROUBLES:
            ledger.retries += 1
            await asyncio.sleep(0.02)


async def _publish_batch(link: ClientConnection, names: list[str], pace: Pace) -> list[str]:
    events = [{"type": "flight.departed", "data": {"callsign": name}, "event_id": name} for name in names]
    await link.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "publish", "params": {"events": events}}))
    pace.published()
    while True:
        answer = json.loads(await link.recv())
        if answer.get("id") == 1 and "jsonrpc" in answer:
            if "error" in answer:
                raise OSError(answer["error"]["message"])  # disk full and the like: not acknowledged, asked again
            return [row["id"] for row in answer["result"]["published"]]


async def publish_by_key(url: str, key: str, ledger: Ledger, pace: Pace, rng: random.Random) -> None:
    """Publish as a provider with a system-tier key does, one event at a time."""
    number = 0
    pending: str | None = None
    while not pace.is_over or pending is not None:
        try:
            async with connect(url, additional_headers={"X-SWIM-API-Key": key}, open_timeout=5) as link:
                while not pace.is_over or pending is not None:
                    if pending is None:
                        pending = f"key-{number}"
                        number += 1
                    event_id = await asyncio.wait_for(_publish_one(link, pending), 10)
                    ledger.acknowledge(pending, event_id)
                    pending = None
                    await asyncio.sleep(rng.uniform(0.12, 0.3))
        except TROUBLES:
            ledger.retries += 1
            await asyncio.sleep(0.05)


async def _publish_one(link: ClientConnection, name: str) -> str:
    message = {"action": "publish", "channel": "flight.arrived", "data": {"callsign": name}, "event_id": name}
    await link.send(json.dumps(message))
    while True:
        answer: dict[str, Any] = json.loads(await link.recv())
        if answer["type"] == "publish_ack" and answer["event_id"] == name:
            return str(answer["id"])
        if answer["type"] == "error":
            raise OSError(answer["message"])


async def write_event_file(path: Path, ledger: Ledger, pace: Pace, rng: random.Random) -> None:
    """Write events as the former provider does: read the whole file, append, write another, rename over it."""
    number = 0
    while not pace.is_over:
        try:
            rows = json.loads(path.read_text())
        except FileNotFoundError:
            rows = []
        name = f"file-{number}"
        number += 1
        rows.append({"type": "flight.deleted", "data": {"callsign": name}, "_received_at": "2026-01-16T14:30:15Z"})
        temporary = path.with_suffix(".writing")
        temporary.write_text(json.dumps(rows))
        temporary.rename(path)
        ledger.written.add(name)
        await asyncio.sleep(rng.uniform(0, 0.05))


class Subscriber:
    """One resuming client of the SDK. Records the order and number of times in which it received events."""

    def __init__(self, name: str, url: str, key: str, *, pause_seconds: float = 0.0) -> None:
        self.name = name
        self.counts: dict[str, int] = {}
        self.out_of_order = 0
        self.gaps = 0
        self.events = 0
        self.longest_silence_seconds = 0.0
        self.ids: dict[str, str] = {}
        self._last_id = (0, 0)
        self._last_event = time.monotonic()
        self._pause_seconds = pause_seconds
        self.has_subscribed = asyncio.Event()
        self._client = SWIMClient(key, url=url, reconnect_interval=0.1, max_reconnect_interval=1.0)

    async def run(self) -> None:
        """Listen until cancelled."""
        self._client.on("gap")(self._on_gap)
        self._client.on("subscribed")(lambda *_: self.has_subscribed.set())
        async with self._client as client:
            async for event in client.events(["flight.*"]):
                self._take(event)
                if self._pause_seconds and self.events % 200 == 0:
                    await asyncio.sleep(self._pause_seconds)

    def _on_gap(self, *_: object) -> None:
        self.gaps += 1

    def _take(self, event: Any) -> None:
        now = time.monotonic()
        self.longest_silence_seconds = max(self.longest_silence_seconds, now - self._last_event)
        self._last_event = now
        self.events += 1
        milliseconds, _, sequence = event.id.partition("-")
        event_id = (int(milliseconds), int(sequence))
        if event_id <= self._last_id:
            self.out_of_order += 1
        self._last_id = event_id
        name = str(event["callsign"])
        self.counts[name] = self.counts.get(name, 0) + 1
        self.ids[name] = event.id

    def lost(self, expected: set[str]) -> set[str]:
        """Return the events that it should have received but did not."""
        return expected - self.counts.keys()

    @property
    def repeated(self) -> int:
        """Return the events received more than once, counting each repetition."""
        return sum(count - 1 for count in self.counts.values())
