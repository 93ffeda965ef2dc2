"""Keeps live connections honest: a key that expires, is revoked or changes its tier closes what it opened."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock, utc_now
from swim_server.concurrency.yielding import yielding
from swim_server.keys.format import Tier
from swim_server.keys.permissions import still_holds

if TYPE_CHECKING:
    from swim_server.gateway.registry import Gateway
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.records import KeyRecord, Refused
    from swim_server.streaming.connection import Connection

EXPIRY_LOOK_SECONDS = 0.5
REMEMBERED_ENDINGS = 1000
"""Keeps the number of connections closed by a change, for a caller that asks after they were closed."""


class _Ending(msgspec.Struct):
    """A key was found to have ended, and its connections are being closed."""

    at: float
    key_id: int
    closed: int = 0
    """So far: each connection is counted where it is closed, once."""


class KeyWatch:
    """Looks at the keys of all live connections: at the clock twice a second, at the table every so often."""

    def __init__(
        self,
        gateway: Gateway,
        authenticator: Authenticator,
        *,
        recheck_seconds: float,
        log: Any,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self.recheck_seconds = recheck_seconds
        self._log = log
        self._clock = clock
        self._monotonic = clock.monotonic
        self._endings: deque[_Ending] = deque(maxlen=REMEMBERED_ENDINGS)
        self.last_recheck_error: str | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_clock())
            tasks.create_task(self._watch_table())

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_LOOK_SECONDS)
            await self._end_expired()

    async def _end_expired(self) -> None:
        """End the connections of keys that have expired, each key judged by what its newest connection knows of it."""
        async for key_id in yielding(self._gateway.live_keys()):
            connections = self._gateway.connections_of(key_id)
            key = connections[-1].key if connections else None
            if key is not None and key.is_expired(utc_now(self._clock)):
                self._authenticator.forget(key_id)
                await self._judge(key_id, key)

    async def _watch_table(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_seconds)
            await self.recheck_all()

    async def recheck_all(self) -> None:
        """Ask the table about every key that holds connections. Never raises: ``last_recheck_error`` tells."""
        try:
            await self.recheck(self._gateway.live_keys())
        except Exception as error:  # noqa: BLE001  # the database may fail in any way; connections live on meanwhile
            if self.last_recheck_error is None:
                self._log.warning("live keys can't be re-checked", error=str(error))
            self.last_recheck_error = str(error)
        else:
            self.last_recheck_error = None

    async def recheck(self, key_ids: Collection[int]) -> int:
        """Ask the table about these keys in one query; close what no longer holds; return how many connections.

        A key that holds is known from then on as the table has it: what was prolonged doesn't end at its old date.
        """
        asked = self._gateway.live_keys() & set(key_ids)
        if not asked:
            return 0
        found = await self._authenticator.check(asked)
        closed = 0
        async for key_id in yielding(asked):
            closed += await self._judge(key_id, found.get(key_id))
        return closed

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Recheck one key that was changed so many seconds ago.

        Return how many connections were closed because of it, also those that the watch had found by itself.
        """
        since = self._monotonic() - seconds
        await self.recheck([key_id])
        return sum(ending.closed for ending in self._endings if ending.key_id == key_id and ending.at >= since)

    async def end_in_memory(self, key_id: int) -> int:
        """Close what a key holds that was ended while the table can't be read; return how many connections."""
        connections = self._gateway.connections_of(key_id)
        key = connections[-1].key if connections else None
        return 0 if key is None else await self._judge(key_id, self._authenticator.as_ended(key))

    async def _judge(self, key_id: int, current: KeyRecord | None) -> int:
        """Close those that the key no longer admits: all, or those of another tier, or from addresses not listed."""
        now = utc_now(self._clock)
        refusals: dict[Refused, list[Connection]] = {}
        for connection in self._gateway.connections_of(key_id):
            presented = connection.key.fingerprint if connection.key is not None else None
            refused = still_holds(current, Tier(connection.tier), now, connection.remote, presented)
            if refused is None:
                connection.key = current
            else:
                refusals.setdefault(refused, []).append(connection)
        closed = 0
        for refused, connections in refusals.items():
            ending = _Ending(self._monotonic(), key_id)
            self._endings.append(ending)
            async for _ in self._gateway.close_revoked(connections, refused):
                ending.closed += 1
            self._log.info("connections closed", key_id=key_id, reason=refused.reason, connections=ending.closed)
            closed += ending.closed
        return closed
