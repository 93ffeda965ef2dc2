"""How much memory the process used once it had settled: anything beyond is growth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.process import memory_bytes

if TYPE_CHECKING:
    import asyncio

SETTLED_SECONDS = 10.0


class MemoryBaseline:
    """Measures once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.settled_bytes: int | None = None
        """None: not measured yet."""
        loop.call_later(SETTLED_SECONDS, self._measure)

    def _measure(self) -> None:
        self.settled_bytes = memory_bytes()
