"""Whether regular readers of the metrics still read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, inspect, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import expecting, status

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

_READ = "what scrapes the metrics regularly keeps scraping them"
MISSED_SECONDS, MISSED_TIMES = 300.0, 5.0


@expecting(_READ)
async def are_read(context: DoctorContext) -> Answer:
    """Check that Prometheus, or whatever else read the metrics regularly, has not stopped."""
    found = await status(context)
    age, pace = found.metrics_read_age_seconds, found.metrics_pace_seconds
    if age is None:
        return skip(_READ, "nobody has read /metrics since the start")
    if pace is None:
        return skip(_READ, f"read {age:.0f} s ago, and not often enough to be missed")
    if age > max(MISSED_SECONDS, MISSED_TIMES * pace):
        seen = f"/metrics was not read for {age:.0f} s, it was read every {pace:.0f} s: no alert can fire"
        look = inspect("swimctl logs", "whether its token is refused: SWIM_HOME/operator.token is what it needs")
        return warn(_READ, seen, advice=[look])
    return ok(_READ, f"read {age:.0f} s ago, every {pace:.0f} s")


CHECKS: tuple[Check, ...] = (
    Check(
        id="process.metrics",
        summary="What scrapes the metrics regularly keeps scraping them",
        ask=are_read,
        needs=("process.answers",),
    ),
)
