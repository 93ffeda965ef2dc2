"""The connections in pages for the operator's page: sorted and cut here, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.connection import LOCAL_TIER

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

PAGE_ROWS = 25
OTHER_ROWS = "connection_rows"
"""The method that asks the other processes which have connections; there is none if there are no others."""
CHUNK = 1_000
"""Number of connections looked at in one turn of the loop: less than two milliseconds."""
SAMPLE_SECONDS = 5.0
"""Minimum period over which a rate is measured."""


class ConnectionRow(msgspec.Struct, kw_only=True):
    """One connection."""

    id: str
    tier: str
    owner: str | None
    key_id: int | None
    key_hint: str | None
    remote: str
    user_agent: str | None
    connected_at: str
    channels: list[str]
    filters: dict[str, Any]
    sent: int
    per_second: float
    lag_events: int
    lag_seconds: float
    buffered_bytes: int
    is_catching_up: bool
    resumes: bool
    worker: int | None = None
    """The number of the worker process that serves it; None: the answering process does."""


class ConnectionPage(msgspec.Struct, kw_only=True):
    """A page of the table."""

    total: int
    """Number of connections that the search matches."""
    pages: int
    page: int
    rows: list[ConnectionRow]


class WantedRows(msgspec.Struct, frozen=True):
    """The first rows of the table: how they are sorted and chosen, and how many."""

    sort: str
    is_ascending: bool
    count: int
    search: str
    tier: str


_ROW_KEYS: Mapping[str, Callable[[ConnectionRow], Any]] = {
    "lag": lambda row: (row.lag_seconds, row.buffered_bytes),
    "rate": lambda row: row.per_second,
    "sent": lambda row: row.sent,
    "buffered": lambda row: row.buffered_bytes,
    "since": lambda row: row.connected_at,
    "owner": lambda row: (row.owner or "").lower(),
    "tier": lambda row: row.tier,
    "remote": lambda row: row.remote,
}


def cut(found: Sequence[ConnectionPage], wanted: WantedRows, number: int) -> ConnectionPage:
    """Return one page of what several processes have found."""
    total = sum(each.total for each in found)
    pages = max(1, -(-total // PAGE_ROWS))
    number = min(max(number, 1), pages)
    rows = [row for each in found for row in each.rows]
    if len(found) > 1:
        key = _ROW_KEYS.get(wanted.sort, _ROW_KEYS["lag"])
        rows.sort(key=lambda row: (key(row), row.id), reverse=not wanted.is_ascending)
    shown = rows[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    return ConnectionPage(total=total, pages=pages, page=number, rows=shown)


class ConnectionTable:
    """Remembers how much each connection had been sent some seconds ago, for rates. Idle while no page is open."""

    def __init__(self, hub: Hub, *, clock: Clock) -> None:
        self._hub = hub
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._before: tuple[float, Mapping[str, int]] = (0.0, {})
        self._latest: tuple[float, Mapping[str, int]] = (0.0, {})

    async def page(self, sort: str, *, is_ascending: bool, number: int, search: str, tier: str) -> ConnectionPage:
        """Return one page of the connections that the search matches."""
        wanted = WantedRows(sort, is_ascending, number * PAGE_ROWS, search, tier)
        return cut([await self.first(wanted)], wanted, number)

    async def first(self, wanted: WantedRows) -> ConnectionPage:
        """Return the first rows of this process's connections, in order."""
        await self._sample()
        words, key = wanted.search.lower().split(), self._key(wanted.sort)
        found: list[tuple[Any, str, Connection]] = []
        async for chunk in self._chunks():
            found += [
                (key(each), each.id, each)
                for each in chunk
                if each.tier != LOCAL_TIER and wanted.tier in ("", each.tier) and (not words or _is_found(each, words))
            ]
        choose = nsmallest if wanted.is_ascending else nlargest
        chosen = choose(max(wanted.count, PAGE_ROWS), found)
        return ConnectionPage(total=len(found), pages=1, page=1, rows=[self._row(each) for *_, each in chosen])

    async def _chunks(self) -> AsyncIterator[list[Connection]]:
        """Yield all connections, a part in each turn of the loop."""
        connections = list(self._hub.connections.values())
        for begin in range(0, len(connections), CHUNK):
            yield connections[begin : begin + CHUNK]
            await asyncio.sleep(0)

    async def _sample(self) -> None:
        now = self._monotonic()
        if now - self._latest[0] < SAMPLE_SECONDS:
            return
        sent: dict[str, int] = {}
        async for chunk in self._chunks():
            sent.update([(each.id, each.messages_sent) for each in chunk])
        self._before, self._latest = self._latest, (now, sent)

    def _rate(self, connection: Connection) -> float:
        """Return messages per second since the last sample; for a newer connection, since it opened."""
        at, before = self._before
        if connection.id in before:
            seconds, sent = self._monotonic() - at, connection.messages_sent - before[connection.id]
        else:
            seconds, sent = (self._now_ms() - connection.connected_at_ms) / 1000, connection.messages_sent
        return sent / max(seconds, 1.0)

    def _key(self, sort: str) -> Callable[[Connection], Any]:
        keys: Mapping[str, Callable[[Connection], Any]] = {
            "lag": lambda each: (self._lag_seconds(each), each.buffered_bytes),
            "rate": self._rate,
            "sent": lambda each: each.messages_sent,
            "buffered": lambda each: each.buffered_bytes,
            "since": lambda each: each.connected_at_ms,
            "owner": lambda each: each.key.owner_name.lower() if each.key is not None else "",
            "tier": lambda each: each.tier,
            "remote": lambda each: each.remote,
        }
        return keys.get(sort, keys["lag"])

    def _lag_seconds(self, connection: Connection) -> float:
        first = connection.unsent_from
        return 0.0 if first is None else max(0.0, (self._now_ms() - first.milliseconds) / 1000)

    def _row(self, connection: Connection) -> ConnectionRow:
        key = connection.key
        return ConnectionRow(
            id=connection.id,
            tier=connection.tier,
            owner=key.owner_name if key is not None else None,
            key_id=key.id if key is not None else None,
            key_hint=key.hint if key is not None else None,
            remote=connection.remote,
            user_agent=connection.user_agent,
            connected_at=format_ms(connection.connected_at_ms),
            channels=sorted(connection.subscription.channels),
            filters=connection.subscription.filters.to_wire(),
            sent=connection.messages_sent,
            per_second=round(self._rate(connection), 1),
            lag_events=_lag_events(connection),
            lag_seconds=round(self._lag_seconds(connection), 1),
            buffered_bytes=connection.buffered_bytes,
            is_catching_up=connection.catch_up is not None,
            resumes=connection.wants_notices or connection.resumed_after is not None,
        )


def _lag_events(connection: Connection) -> int:
    waiting = len(connection.backlog) if connection.backlog is not None else 0
    group = connection.group
    return waiting + (max(0, group.end - group.position_of(connection)) if group is not None else 0)


def _is_found(connection: Connection, words: list[str]) -> bool:
    key = connection.key
    parts = (connection.id, connection.remote, connection.tier, connection.user_agent or "")
    text = " ".join([*parts, f"{key.id} {key.hint} {key.owner_name}" if key is not None else ""]).lower()
    return all(word in text for word in words)
