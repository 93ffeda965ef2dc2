"""Where HTTP asks for the figures, before there is a process that they could be of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class Exposition:
    """Writes the figures of the service that has been connected to it."""

    def __init__(self) -> None:
        self.gather: Callable[[], Awaitable[tuple[bytes, str]]] | None = None
        """Set once the service is there."""

    async def write(self) -> tuple[bytes, str]:
        """Write all figures, with the content type."""
        assert self.gather is not None, "nobody can ask before it serves"
        return await self.gather()
