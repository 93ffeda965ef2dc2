"""Brokers on storage that outlives them, for the contract suite that every implementation passes."""

from __future__ import annotations

import atexit
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from support.followed_broker import FollowedBroker
from support.redis_server import RedisServer, redis_server
from support.virtual_clock import VirtualClock
from swim_server.brokers.broker import Broker, Page, Published
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.server import ServerAddress
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import Intervals
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent

DAY_MS = 24 * 60 * 60 * 1000
NOW_MS = 1_768_573_815_123
KEEP_MS = DAY_MS
KEEP_POSITIONS_MS = 15 * 60 * 1000


class Listener:
    """Records what a broker delivers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fail_next = False

    def __call__(self, events: Sequence[Event]) -> None:
        if self.fail_next:
            self.fail_next = False
            raise RuntimeError("the listener fails, as the test asked")
        self.events += events

    @property
    def numbers(self) -> list[Any]:
        return [event.data.get("number") for event in self.events]


class Rig(Protocol):
    """One storage and its clock. ``broker`` creates a broker on it, as a start of the process does."""

    clock: VirtualClock

    def broker(self, **settings: Any) -> Broker: ...


def broker_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Group single settings, as ``tick_seconds=0.01``, into what brokers take; the rest is handed on."""
    rest: dict[str, Any] = {"boot_id": "one-boot", "tick_seconds": 0.005} | settings

    def take(kind: Callable[..., Any], *names: str, **given: Any) -> Any:
        return kind(**given | {name: rest.pop(name) for name in names if name in rest})

    return {
        "retention": take(
            Retention, "keep_ms", "keep_positions_ms", "max_bytes",
            keep_ms=KEEP_MS, keep_positions_ms=KEEP_POSITIONS_MS, max_bytes=1 << 31,
        ),
        "options": take(FileOptions, "synchronous", "connect", "boot_id", "notes"),
        "intervals": take(Intervals, "tick_seconds", "check_after_seconds"),
        **rest,
    }  # fmt: skip


class LocalRig:
    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.clock.wall_ms = NOW_MS
        self.path = folder / "history.db"

    def broker(self, **settings: Any) -> LocalBroker:
        return LocalBroker(self.path, clock=self.clock, **broker_settings(settings))


class RedisRig:
    """A key prefix of its own on a server that the tests of one process share."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.clock.wall_ms = NOW_MS
        self.path = folder / "history.db"
        self.server = shared_server()
        self.prefix = secrets.token_hex(6)

    def broker(self, **settings: Any) -> RedisBroker:
        return RedisBroker(
            address=ServerAddress(self.server.url),
            prefix=self.prefix,
            clock=self.clock,
            now_ms=self.clock.now_ms,
            **broker_settings({"path": self.path, "node": "one"} | settings),
        )


@cache
def shared_server() -> RedisServer:
    """Start one server for the whole process; it ends with the process."""
    server = ExitStack()
    atexit.register(server.close)
    return server.enter_context(redis_server())


class WorkerRig(LocalRig):
    """A worker's broker that follows a local one, as a worker process follows its primary."""

    def broker(self, **settings: Any) -> FollowedBroker:  # type: ignore[override]  # another broker on the same storage
        return FollowedBroker(super().broker(**settings))


class RedisWorkerRig(RedisRig):
    """A worker's broker whose primary is a node."""

    def broker(self, **settings: Any) -> FollowedBroker:  # type: ignore[override]  # another broker on the same storage
        return FollowedBroker(super().broker(**settings))


RIGS: dict[str, Callable[[Path], Rig]] = {
    "local": LocalRig,
    "redis": RedisRig,
    "worker": WorkerRig,
    "worker of a node": RedisWorkerRig,
}
"""Every implementation of Broker. A new one joins the suite with a line here."""


def numbered(first: int, count: int = 1, *, type: str = "flight.created", named: bool = False) -> list[NewEvent]:
    """Return distinguishable events; ``named``: each with an event_id."""
    return [
        NewEvent(type=type, data={"number": number}, event_id=f"event {number}" if named else None)
        for number in range(first, first + count)
    ]


async def read_all(broker: Broker, after: EventId = ZERO, **options: Any) -> list[Event]:
    """Read every stored event after ``after``, page by page."""
    events: list[Event] = []
    while True:
        page: Page = await broker.read(after, **options)
        events += page.events
        after = page.next_after
        if page.is_last:
            return events


def numbers(events: Sequence[Event]) -> list[Any]:
    return [event.data.get("number") for event in events]


def ids(published: Sequence[Published]) -> list[EventId]:
    return [EventId.parse(answer.id) for answer in published]
