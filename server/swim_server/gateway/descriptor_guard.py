"""Stops accepting before the process runs out of file descriptors: the rest is for history, keys and commands."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.listeners import Listeners
    from swim_server.logs import Logger

RESUME_SHARE = 0.95
"""Accepting resumes at this share of the maximum number of connections, so that it doesn't alternate quickly."""
MOST_RESERVED = 0.25
"""Maximum share of all descriptors that is reserved: if there are few, most are still for clients."""


def descriptor_limit() -> int:
    """Return how many descriptors this process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class DescriptorGuard:
    """Notified of the number of connections whenever it changes."""

    def __init__(
        self,
        listeners: Listeners,
        tasks: Tasks,
        log: Logger,
        *,
        reserve: int,
        limit: Callable[[], int] = descriptor_limit,
    ) -> None:
        self._listeners = listeners
        self._tasks = tasks
        self._log = log
        self._reserve = reserve
        self._limit = limit
        self._is_full = False

    @property
    def max_connections(self) -> int:
        """The maximum number of connections."""
        limit = self._limit()
        return limit - min(self._reserve, int(limit * MOST_RESERVED))

    def counted(self, connections: int) -> None:
        """Stop accepting if there are too many connections, resume when there are fewer."""
        if not self._is_full and connections >= self.max_connections:
            self._is_full = True
            self._listeners.hold_back()
            self._log.warning(
                "no more connections are accepted: only the reserve of file descriptors is left;"
                " raise the limit (systemd: LimitNOFILE=)",
                connections=connections,
                limit=self._limit(),
            )
        elif self._is_full and connections <= self.max_connections * RESUME_SHARE:
            self._is_full = False
            self._log.info("connections are accepted again", connections=connections)
            self._tasks.start(self._listeners.accept_again())
