"""Watches the keys of all live connections, the workers' too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swim_server.daemon.key_watch import KeyWatch
from swim_server.daemon.workers.workers import gather_answers
from swim_server.gateway.rpc import RpcError
from swim_server.sql.errors import StoreError
from swim_server.workers import messages
from swim_server.workers.link import LinkLost
from swim_server.workers.messages import ChangedKey, Recheck

if TYPE_CHECKING:
    from swim_server.daemon.workers.workers import Workers
    from swim_server.gateway.registry import Gateway
    from swim_server.keys.authenticator import Authenticator
    from swim_server.keys.write_behind.endings import Ending
    from swim_server.logs import Logger

ANSWER_SECONDS = 1.5
"""How long the answers of workers are waited for."""


class PrimaryKeyWatch(KeyWatch):
    """Has each worker check its own connections, and adds up what they close."""

    def __init__(
        self, gateway: Gateway, authenticator: Authenticator, workers: Workers, *, recheck_seconds: float, log: Logger
    ) -> None:
        super().__init__(gateway, authenticator, recheck_seconds=recheck_seconds, log=log)
        self._workers = workers

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        """Check one key in all processes; return how many connections were closed because of it."""
        asked = asyncio.create_task(self._tell(ChangedKey(key_id=key_id, seconds=seconds)))
        try:
            return await super().key_changed(key_id, seconds=seconds) + await asyncio.shield(asked)
        finally:
            await asked

    async def end_in_memory(self, key_id: int, ending: Ending | None = None) -> int:
        """Close the connections of a key that was ended while the table can't be read; return how many."""
        closed = await super().end_in_memory(key_id)
        if ending is None:
            return closed
        return closed + await self._tell(ChangedKey(key_id=key_id, ending=ending))

    async def end_as_told(self, key_id: int, state: str) -> int:
        """Close the connections of a key that another node has just read as ended; return how many in all."""
        asked = asyncio.create_task(self._tell(ChangedKey(key_id=key_id, ended=state)))
        return await super().end_as_told(key_id, state) + await asked

    async def recheck_all(self) -> None:
        """Check every key that holds connections, in all processes: at once, where each does so at intervals."""
        await self._recheck_everywhere(forgets=False)

    async def start_over(self) -> None:
        """Forget all decisions about keys, and check every key that holds connections, in all processes."""
        self._authenticator.forget_all()
        await self._recheck_everywhere(forgets=True)

    async def _recheck_everywhere(self, *, forgets: bool) -> None:
        asked = [worker.link.ask(messages.RECHECK, Recheck(forgets)) for worker in self._workers.serving()]
        await self._recheck_own()
        await gather_answers(asked, ANSWER_SECONDS)

    async def _tell(self, changed: ChangedKey) -> int:
        """Tell every worker of a changed key; return how many connections they have closed."""
        asked = {worker: worker.link.ask(messages.KEY_CHANGED, changed) for worker in self._workers.serving()}
        self._workers.silent = []
        if asked:
            await asyncio.wait(asked.values(), timeout=ANSWER_SECONDS)
        closed = 0
        for worker, answer in asked.items():
            try:
                if not answer.done():
                    raise TimeoutError
                closed += answer.result().connections
            except LinkLost:  # its connections are gone with it
                continue
            except (TimeoutError, StoreError, RpcError):
                self._workers.silent.append(f"worker {worker.number}")
        return closed
