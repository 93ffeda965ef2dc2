"""Watches the keys of live connections: a key that expires, is revoked or changes its tier closes its connections."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

import msgspec

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock, utc_now
from swim_server.concurrency.yielding import yielding
from swim_server.keys.format import Tier
from swim_server.keys.permissions import KeyState, still_holds

if TYPE_CHECKING:
    from swim_server.gateway.registry import Gateway
    from swim_server.keys.records import KeyRecord, Refused
    from swim_server.keys.write_behind.endings import Ending
    from swim_server.logs import Logger
    from swim_server.streaming.connection import Connection

EXPIRY_LOOK_SECONDS = 0.5
REMEMBERED_ENDINGS = 1000
"""How many results of changes are remembered, for a caller that asks after the connections were closed."""


class _Ending(msgspec.Struct):
    """A key that has ended, and whose connections are being closed."""

    at: float
    key_id: int
    closed: int = 0
    """Connections closed so far, each counted once."""


class WatchedKeys(Protocol):
    """What knows the rows of keys."""

    async def check(self, key_ids: Collection[int]) -> dict[int, KeyRecord | None]:
        """Read the rows of keys that hold connections; None: the key is gone. Raises StoreError."""

    def forget(self, key_id: int) -> None:
        """Forget the decision about this key."""

    def forget_all(self) -> None:
        """Forget all decisions."""

    def as_ended(self, record: KeyRecord) -> KeyRecord:
        """Apply an ending that the database has not stored yet."""


class KeyWatch:
    """Checks the keys of all live connections: the clock twice a second, the table at intervals."""

    def __init__(
        self,
        gateway: Gateway,
        authenticator: WatchedKeys,
        *,
        recheck_seconds: float,
        log: Logger,
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
        """Close the connections of keys that have expired, according to each key's newest connection."""
        async for key_id in yielding(self._gateway.live_keys()):
            connections = self._gateway.connections_of(key_id)
            key = connections[-1].key if connections else None
            if key is not None and key.is_expired(utc_now(self._clock)):
                self._authenticator.forget(key_id)
                await self._judge(key_id, key)

    async def _watch_table(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_seconds)
            await self._recheck_own()

    async def recheck_all(self) -> None:
        """Read the table for every key that holds connections. Never raises: see ``last_recheck_error``."""
        await self._recheck_own()

    async def _recheck_own(self) -> None:
        try:
            await self.recheck(self._gateway.live_keys())
        except Exception as error:  # noqa: BLE001  # the database may fail in any way; connections live on meanwhile
            if self.last_recheck_error is None:
                self._log.warning("live keys can't be re-checked", error=str(error))
            self.last_recheck_error = str(error)
        else:
            self.last_recheck_error = None

    async def start_over(self) -> None:
        """Forget all decisions about keys, and read the table for every key that holds connections. Never raises."""
        self._authenticator.forget_all()
        await self.recheck_all()

    async def recheck(self, key_ids: Collection[int]) -> int:
        """Read the table for these keys in one query; close what is no longer allowed; return how many connections.

        A key that is still valid is remembered as the table has it: a prolonged key doesn't end at its old date.
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
        """Check one key that was changed ``seconds`` ago.

        Return how many connections were closed because of it, including those that the watch had found by itself.
        """
        since = self._monotonic() - seconds
        await self.recheck([key_id])
        return sum(ending.closed for ending in self._endings if ending.key_id == key_id and ending.at >= since)

    async def end_in_memory(self, key_id: int, ending: Ending | None = None) -> int:
        """Close the connections of a key that was ended while the table can't be read; return how many.

        ``ending``: for processes that don't know it yet.
        """
        connections = self._gateway.connections_of(key_id)
        key = connections[-1].key if connections else None
        return 0 if key is None else await self._judge(key_id, self._authenticator.as_ended(key))

    async def end_as_told(self, key_id: int, state: str) -> int:
        """Close the connections of a key that another node has just read as ended; return how many.

        The table is not read again, which may take long here; a key that is valid after all is read by the next client.
        """
        connections = self._gateway.connections_of(key_id)
        key = connections[-1].key if connections else None
        if key is None:
            return 0
        if state == KeyState.EXPIRED:
            return await self._judge(key_id, msgspec.structs.replace(key, expires_at=utc_now(self._clock)))
        return await self._judge(key_id, msgspec.structs.replace(key, is_active=False))

    async def _judge(self, key_id: int, current: KeyRecord | None) -> int:
        """Close the connections that the key no longer allows: all, or by tier or address."""
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
