"""Keeps live connections honest: a key that expires, is revoked or changes its tier closes what it opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from swim_server.keys.permissions import still_holds
from swim_server.protocol.codes import CloseCode

if TYPE_CHECKING:
    from swim_server.gateway.gateway import Gateway
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.records import KeyRecord

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
            for key in self.live_keys().values():
                if key.is_expired(now):
                    self._authenticator.forget(key.id)
                    self._close(key, key)

    async def _watch_table(self) -> None:
        while True:
            await asyncio.sleep(self.recheck_seconds)
            try:
                await self.recheck(list(self.live_keys()))
            except Exception as error:  # noqa: BLE001  # the database may fail in any way; connections live on meanwhile
                if self.last_recheck_error is None:
                    self._log.warning("live keys can't be re-checked", error=str(error))
                self.last_recheck_error = str(error)
            else:
                self.last_recheck_error = None

    def live_keys(self) -> dict[int, KeyRecord]:
        """The keys of all live connections, as they were when each was let in."""
        return {
            connection.key.id: connection.key
            for connection in self._gateway.hub.connections.values()
            if connection.key is not None
        }

    async def recheck(self, key_ids: list[int]) -> int:
        """Ask the table about these keys in one query; close what no longer holds; return how many connections.

        A key that holds is known from then on as the table has it: what was prolonged doesn't end at its old date.
        """
        if not key_ids:
            return 0
        found = await self._authenticator.check(key_ids)
        live = self.live_keys()
        return sum(self._close(live[key_id], found.get(key_id)) for key_id in key_ids if key_id in live)

    def _close(self, admitted: KeyRecord, current: KeyRecord | None) -> int:
        refused = still_holds(current, admitted.tier, self._clock())
        if refused is None:
            if current is not None and current is not admitted:
                self._gateway.renew_key(current)
                return self._gateway.close_strangers(current)
            return 0
        if refused.reason == "tier_changed":
            closed = self._gateway.close_key(admitted.id, CloseCode.SERVICE_RESTART, refused.message)
        else:
            closed = self._gateway.close_key(admitted.id, CloseCode.UNAUTHORIZED, refused.message)
        if closed:
            self._log.info("connections closed", key_id=admitted.id, reason=refused.reason, connections=closed)
        return closed
