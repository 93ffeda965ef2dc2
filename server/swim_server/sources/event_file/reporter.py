"""What the event file's source tells operators: its status, and what it logs."""

from __future__ import annotations

from pathlib import Path

from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.sources.event_file.taken_file import TakenFile
from swim_server.sources.source import SourceStatus
from swim_server.sources.unknown_types import UnknownTypes

LOGGED_REASONS = 5
WRITERS_KNOWN = "known"
WRITERS_UNKNOWN = "not known: a file of another user is kept until it has not grown for ten minutes"


class Reporter:
    """Keeps the status of one source; logs trouble once, not at every attempt while it lasts."""

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        self.status = SourceStatus(
            name=name,
            kind="file",
            details={"file": str(path), "duplicates": 0, "rejected": 0, "taken": 0, "writers": WRITERS_KNOWN},
        )
        self._monotonic = clock.monotonic
        self._log = get_logger("sources").bind(source=name)
        self._unknown_types = UnknownTypes(self.status, self._log)

    def published(self, new: int, duplicates: int) -> None:
        """Count events that were stored, and those that already were."""
        self.status.events += new
        self._count("duplicates", duplicates)
        if new:
            self.status.last_event_monotonic = self._monotonic()

    def taken(self, files: int) -> None:
        """Show how many files are taken and not finished."""
        self.status.details["taken"] = files

    def writers_unknown(self) -> None:
        """Show that it can't be known whether a process has a taken file open."""
        self.status.details["writers"] = WRITERS_UNKNOWN

    def rejected(self, taken: TakenFile, aside: Path) -> None:
        """Report the parts of a file that could not be read, and the file in which they were kept."""
        count = taken.rejected_count
        self.status.errors += count
        self._count("rejected", count)
        self.status.details["last_rejected"] = f"{taken.rejected[0].reason}: see {aside}"
        self._unknown_types.count(taken.unknown_types)
        told = [piece for piece in taken.rejected if piece.unknown_type is None]
        for piece in told[:LOGGED_REASONS]:
            self._log.warning(
                "part of the event file could not be read: set aside",
                reason=piece.reason,
                at_character=piece.position,
                characters=piece.length,
                aside=str(aside),
            )
        more = count - taken.unknown_types.total() - LOGGED_REASONS
        if more > 0:
            text = "further parts of the event file could not be read: set aside"
            self._log.warning(text, count=more, aside=str(aside))

    def trouble(self, reason: str) -> None:
        """Report that the event file can't be read, or what is in it can't be stored."""
        if reason != self.status.last_error:
            self.status.errors += 1
            self._log.error("the event file can't be read at the moment", reason=reason)
        self.status.state = "degraded"
        self.status.last_error = reason

    def well(self) -> None:
        """Report that the event file was read."""
        if self.status.state == "degraded":
            self._log.info("the event file can be read again")
        self.status.state = "running"
        self.status.last_error = None
        self.status.last_success_monotonic = self._monotonic()

    def _count(self, detail: str, number: int) -> None:
        self.status.details[detail] = int(self.status.details[detail] or 0) + number
