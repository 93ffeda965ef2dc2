"""Keeps live connections honest: a key that expires, is revoked or changes its tier closes what it opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from swim_server.keys.permissions import address_refusal, still_holds

if TYPE_CHECKING:
    from swim_server.gateway.gateway import Gateway
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.records import KeyRecord
    from swim_server.streaming.connection import Connection

EXPIRY_LOOK_SECONDS = 0.5


class KeyWatch:
    """Looks at the keys of all live connections: at the clock twice a second, at the table every so often."""

    def __init__(
        self,
        gateway: Gateway,
        authenticator: Authenticator,
        *,
        recheck_seconds: float,
        log: Any,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self.recheck_seconds = recheck_seconds
        self._log = log
        self._clock = clock
        self.last_recheck_error: str | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_clock())
            tasks.create_task(self._watch_table())

    async def _watch_clock(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_LOOK_SECONDS)
            now = self._clock()
            for key_id, connections in self._gateway.connections_by_key().items():
                key = connections[-1].key
                if key is not None and key.is_expired(now):
                    self._authenticator.forget(key_id)
                    self._judge(key_id, connections, key)

    async def _watch_table(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_seconds)
            await self.recheck_all()

    async def recheck_all(self) -> None:
        """Ask the table about every key that holds connections. Never raises: ``last_recheck_error`` tells."""
        try:
            await self.recheck(self._gateway.connections_by_key().keys())
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
        asked = self._gateway.connections_by_key().keys() & set(key_ids)
        if not asked:
            return 0
        found = await self._authenticator.check(asked)
        live = self._gateway.connections_by_key()
        return sum(self._judge(key_id, live[key_id], found.get(key_id)) for key_id in asked if key_id in live)

    def _judge(self, key_id: int, connections: Sequence[Connection], current: KeyRecord | None) -> int:
        """Close those that the key no longer lets in: all, or the ones from addresses that it doesn't list."""
        admitted = connections[-1].key
        assert admitted is not None, "only connections with a key are judged"
        refused = still_holds(current, admitted.tier, self._clock())
        if refused is not None:
            closed = self._gateway.turn_out(connections, refused)
        else:
            assert current is not None, "a key that is gone does not hold"
            closed = 0
            for connection in connections:
                connection.key = current
                if (stranger := address_refusal(current, connection.remote)) is not None:
                    closed += self._gateway.turn_out([connection], stranger)
        if closed:
            reason = refused.reason if refused is not None else "address"
            self._log.info("connections closed", key_id=key_id, reason=reason, connections=closed)
        return closed
