"""The connection on which a node reports to the others; reopened when it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.scripts import Script
from swim_server.brokers.redis_stream.server import Server
from swim_server.brokers.redis_stream.session import Session, Word

ANSWER_SECONDS = 3.0


class Line:
    """Calls wait for each other, so that the server receives them in the order in which they were made."""

    def __init__(self, server: Server, names: Names) -> None:
        self.names = names
        self._server = server
        self._session: Session | None = None

    async def call(self, *words: Word) -> Any:
        """Send a command. Raises BrokerUnavailable."""
        session = await self._open()
        try:
            return await session.call(*words, timeout=ANSWER_SECONDS)
        except BrokerUnavailable:
            await self.close()
            raise

    async def script(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        """Run a script. Raises BrokerUnavailable."""
        session = await self._open()
        try:
            return await session.script(script, keys, *arguments, timeout=ANSWER_SECONDS)
        except BrokerUnavailable:
            await self.close()
            raise

    async def report(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        """Run a script that is also told which run of the server executes it. Raises BrokerUnavailable."""
        session = await self._open()
        return await self.script(script, keys, session.run.id, *arguments)

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(self) -> Session:
        if self._session is None or self._session.is_broken:
            self._session = await self._server.open(self.names.state)
        return self._session
