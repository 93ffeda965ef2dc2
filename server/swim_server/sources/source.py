"""The Source interface, and the status of a source."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from swim_server.brokers.broker import Publish

State = Literal["starting", "running", "standby", "degraded", "finished", "failed", "stopped"]
"""``standby``: another node runs it."""


class SourceStatus(msgspec.Struct, kw_only=True):
    """What ``status`` shows of a source. Written by the source while it runs; others only read it."""

    name: str
    kind: str
    state: State = "starting"
    events: int = 0
    """Published since this process started, excluding duplicates."""
    last_event_monotonic: float | None = None
    """``time.monotonic()`` at its last published event."""
    last_success_monotonic: float | None = None
    """``time.monotonic()`` when it last read its input successfully, whether or not there was anything new."""
    errors: int = 0
    last_error: str | None = None
    """What went wrong last and what to do; None once it works again."""
    details: dict[str, str | int | float | None] = {}
    """Anything else that helps: snapshots read and skipped, the file's name, the simulated time."""
    unknown_types: dict[str, int] = {}
    """How many events were set aside because of an unknown type, by type, since this process started."""


class Source(Protocol):
    """Produces events and publishes them. Built from its settings; knows nothing of hub, clients or keys."""

    status: SourceStatus

    async def run(self, publish: Publish) -> None:
        """Publish events until cancelled, or return at the end of the input.

        What it took from its input is published or still there: cancelled or killed at any moment, the next run neither
        loses nor repeats an event. Temporary problems of the input are counted in ``status`` and survived; it raises
        only what its supervisor should log and restart it for.
        """
