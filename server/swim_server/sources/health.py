"""Reports a source's health: counts, the last error, and a log line when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.sources.source import SourceStatus

if TYPE_CHECKING:
    from swim_server.logs import Logger


class Health:
    """Writes a source's status. ``input`` names what it reads, for operators: ``the feed``."""

    def __init__(self, status: SourceStatus, log: Logger, input: str, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._status = status
        self._log = log
        self._input = input
        self._clock = clock
        self._trouble: str | None = None
        """What was wrong with the input at the last read."""
        self._lasting: dict[str, str] = {}
        """Problems apart from the input itself, until they are fixed."""

    def well(self) -> None:
        """Note that the input could be read."""
        self._status.last_success_monotonic = self._clock.monotonic()
        self._trouble = None
        if self._lasting:
            self._worsen("; ".join(self._lasting.values()), is_new=False)
            return
        if self._status.state == "degraded":
            self._log.info(f"{self._input} can be read again")
        self._status.state = "running"
        self._status.last_error = None

    def trouble(self, reason: str, next_step: str = "") -> None:
        """Note that the input could not be read, or not completely. A repeat of the same problem is counted once."""
        if reason != self._trouble:
            self._status.errors += 1
        is_new = self._trouble is None
        self._trouble = reason
        self._worsen(f"{reason}; {next_step}" if next_step else reason, is_new=is_new)

    def lasting(self, about: str, reason: str | None) -> None:
        """Report a lasting problem apart from reading (None: solved); shown until then."""
        if reason is None:
            self._lasting.pop(about, None)
        elif self._lasting.get(about) != reason:
            self._lasting[about] = reason
            self._status.errors += 1
            self._worsen(reason, is_new=True)

    def count(self, name: str, by: int = 1) -> None:
        """Count something in the details."""
        self._status.details[name] = int(self._status.details.get(name) or 0) + by

    def _worsen(self, reason: str, *, is_new: bool) -> None:
        if is_new:
            self._log.warning(f"{self._input} can't be read at the moment", reason=reason)
        self._status.state = "degraded"
        self._status.last_error = reason
