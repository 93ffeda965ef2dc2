"""The Source interface and what a source tells about itself."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from swim_server.brokers.broker import Publish

State = Literal["starting", "running", "standby", "degraded", "finished", "failed", "stopped"]
"""``standby``: another node runs it."""


class SourceStatus(msgspec.Struct, kw_only=True):
    """What ``status`` shows of a source. The source changes it while it runs; others only read."""

    name: str
    kind: str
    state: State = "starting"
    events: int = 0
    """Published since this process started, duplicates not counted."""
    last_event_monotonic: float | None = None
    """``time.monotonic()`` at its last published event."""
    last_success_monotonic: float | None = None
    """``time.monotonic()`` when it last looked at its input and could read it, whether or not it held news."""
    errors: int = 0
    last_error: str | None = None
    """What went wrong last and what to do; None once it has gone well again."""
    details: dict[str, str | int | float | None] = {}
    """Whatever else helps: snapshots read and skipped, the file's name, the simulated time."""
    unknown_types: dict[str, int] = {}
    """How many events were set aside for an unknown type, by type, since this process started."""


class Source(Protocol):
    """Notices events and publishes them. Built with its settings; knows nothing of hub, clients or keys."""

    status: SourceStatus

    async def run(self, publish: Publish) -> None:
        """Publish events until cancelled, or return when the input has come to its end.

        What it took from its input is published or still there: cancelled or killed at any moment, the next
        run neither loses nor repeats an event. A passing fault of the input is counted in ``status`` and
        outlived; raises only what its supervisor should log and restart it for.
        """
