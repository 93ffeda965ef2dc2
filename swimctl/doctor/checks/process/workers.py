"""Worker processes: each serves, keeps up with the primary, and lives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import expecting, status
from swimctl.text import plural, size

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import WorkerDocument

    from swimctl.doctor.context import DoctorContext

SECOND_LOOK_SECONDS = 3.0
"""A worker that is just being started again needs some seconds."""
LOOKS = 4
SOME_RESTARTS, MANY_RESTARTS = 2, 5
"""Within ten minutes."""
MANY_EVENTS, MANY_BYTES = 10_000, 8 * 2**20
"""So far behind, a worker's clients hear of events seconds late."""
_EXPECTED = "each worker serves clients, keeps up, and has not died again and again"


@expecting(_EXPECTED)
async def serve(context: DoctorContext) -> Answer:
    """Check the workers; look again where one may just be starting, or lag for a moment."""
    found = (await status(context)).workers
    if not found:
        return skip(_EXPECTED, "one process serves the clients: [server] workers is 1")
    for _ in range(LOOKS if not context.facts.is_saved else 0):
        if not any(_problem(worker) for worker in found):
            break
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        found = (await status(context, refresh=True)).workers
    wrong = [f"worker {worker.number}: {problem}" for worker in found if (problem := _problem(worker)) is not None]
    died = [worker for worker in found if worker.recent_restarts >= SOME_RESTARTS]
    ends = [
        f"worker {worker.number} was started again {plural(worker.recent_restarts, 'time')} within ten minutes; "
        f"it last ended: {worker.last_end}"
        for worker in died
    ]
    pids = ",".join(str(worker.pid) for worker in found if worker.pid is not None)
    advice = [
        inspect("swimctl logs"),
        inspect(f"ps -o pid,stat,pcpu,rss,etime,args -p {pids}") if pids else inspect("swimctl status"),
        decide("swimctl restart", "starts all processes again; clients move over"),
    ]
    if wrong:
        return fail(_EXPECTED, "; ".join(wrong), *wrong, *ends, advice=advice)
    if any(worker.recent_restarts >= MANY_RESTARTS for worker in died):
        return fail(_EXPECTED, "; ".join(ends), *ends, advice=advice)
    if ends:
        return warn(_EXPECTED, "; ".join(ends), *ends, advice=advice)
    shares = ", ".join(str(worker.connections) for worker in found)
    return ok(_EXPECTED, f"{len(found)} workers with {shares} connections")


def _problem(worker: WorkerDocument) -> str | None:
    """Return why a worker does not serve its clients in time."""
    if worker.state == "gone":
        return f"it is not running; it ended: {worker.last_end or 'the reason is not known'}"
    if worker.state == "silent":
        return f"nothing was heard of pid {worker.pid} for {worker.report_age_seconds:.0f} s"
    if worker.state != "ready":
        return f"it is {worker.state}"
    if worker.lag_events >= MANY_EVENTS or worker.waiting_bytes >= MANY_BYTES:
        return f"it is {plural(worker.lag_events, 'event')} ({size(worker.waiting_bytes)}) behind"
    return None


CHECKS: tuple[Check, ...] = (
    Check(
        id="process.workers",
        summary="Each worker process serves and keeps up",
        ask=serve,
        needs=("process.answers",),
    ),
)
