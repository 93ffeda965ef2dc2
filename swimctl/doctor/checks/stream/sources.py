"""Sources: each reads its input, and its input is current."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, fail, ok, warn
from swimctl.doctor.probes.daemon_facts import expecting, promises, status
from swimctl.doctor.probes.second_look import twice
from swimctl.text import plural

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import SourceDocument, Status

    from swimctl.doctor.context import DoctorContext

STALL_INTERVALS, STALL_SECONDS = 3.0, 5.0
"""A source that has not read its input for this many intervals plus these seconds is stalled."""
STARTING_SECONDS = 60.0
MANY_REJECTED = 10
OLD_FEED_SECONDS, OLD_FEED_INTERVALS = 300.0, 10.0
"""A feed with older data than this is out of date, however quickly it answers."""
FUTURE_SECONDS = 60.0
"""A feed whose data is further ahead of our clock was written by another clock."""
FROZEN_SECONDS, FROZEN_SNAPSHOTS = 300.0, 10
"""If no flying aircraft has moved for this long, or in this many snapshots, the feed repeats itself."""

_SOURCES = "every source has looked at its input lately, and could read all of it"


@expecting(_SOURCES)
async def sources(context: DoctorContext) -> Answer:
    """Check that no source has failed, stalled, or misses part of its input; look twice."""
    return await twice(context, lambda: _look_at_sources(context), "process.status", "process.promises")


async def _look_at_sources(context: DoctorContext) -> Answer:
    document = await status(context)
    paces = {each.name: each.pace_seconds for each in (await promises(context)).sources}
    if not document.sources:
        return ok(_SOURCES, "there are none: events come from publishers alone")
    broken = [line for each in document.sources if (line := _broken(each, paces.get(each.name, 1.0), document))]
    broken += [line for each in document.sources if (line := _rejects(each))]
    partly = [f"{each.name}: {each.last_error or 'degraded'}" for each in document.sources if each.state == "degraded"]
    partly += [line for each in document.sources if (line := _takes_nothing(each))]
    partly += [line for each in document.sources if (line := _is_old(each, paces.get(each.name, 1.0), context.now))]
    partly += [line for each in document.sources if (line := _is_frozen(each))]
    if broken:
        return fail(_SOURCES, "; ".join(broken), *partly, fix="swimctl logs")
    if partly:
        return warn(_SOURCES, "; ".join(partly), fix="swimctl logs")
    return ok(_SOURCES, ", ".join(f"{each.name} {_age(each)}" for each in document.sources))


def _broken(source: SourceDocument, pace_seconds: float, status: Status) -> str | None:
    """Say why a source delivers nothing at the moment."""
    stall_seconds = STALL_INTERVALS * pace_seconds + STALL_SECONDS
    age = source.last_success_age_seconds
    reason = f": {source.last_error}" if source.last_error else ""
    if source.state in ("finished", "standby"):  # another node runs it; nodes.leases checks that
        return None
    if any(name.endswith("_missing") and value for name, value in source.details.items()):
        return f"{source.name}{reason}"  # a missing table or column does not come back by itself
    if source.state in ("failed", "stopped"):
        return f"{source.name} has {source.state}{reason}"
    if source.state == "starting" and age is None:
        is_late = status.uptime_seconds > max(STARTING_SECONDS, stall_seconds)
        return f"{source.name} is still starting after {status.uptime_seconds:.0f} s{reason}" if is_late else None
    if age is None and status.uptime_seconds > stall_seconds:
        return f"{source.name} has never read its input{reason}"
    if age is not None and age > stall_seconds:
        return f"{source.name} is stalled: {age:.0f} s since it read its input, every {pace_seconds:g} s{reason}"
    return None


def _rejects(source: SourceDocument) -> str | None:
    """Say that a source can't publish most of its input."""
    if source.rejected < MANY_REJECTED or source.rejected <= source.events:
        return None
    reason = f": {source.last_error}" if source.last_error else ""
    return f"{source.name} rejects most of its input: {source.rejected} of {source.rejected + source.events}{reason}"


def _takes_nothing(source: SourceDocument) -> str | None:
    """Say that a source could read nothing of the little that it got: one rejection may be a whole file."""
    if source.events or not 0 < source.rejected < MANY_REJECTED:
        return None
    reason = source.details.get("last_rejected") or source.last_error
    return f"{source.name} could read nothing that it got: {plural(source.rejected, 'part')} set aside: {reason}"


def _is_old(source: SourceDocument, pace_seconds: float, now: float) -> str | None:
    """Say that a feed or a table answers, but its content is old."""
    age = source.feed_age_seconds
    written_at = _moment(source.details.get("writer_time"))
    if written_at is not None:
        age = max(now - written_at, age or 0.0)
    if age is not None and age < -FUTURE_SECONDS and source.state not in ("finished", "standby"):
        return f"{source.name}: its data is of a time {-age:.0f} s ahead: its clock is wrong, or ours"
    if (
        age is None
        or age <= max(OLD_FEED_SECONDS, OLD_FEED_INTERVALS * pace_seconds)
        or source.state in ("finished", "standby")
    ):
        return None
    what = "its feed answers" if written_at is None else "its tables can be read"
    return f"{source.name}: {what}, but what it says is {age:.0f} s old"


def _moment(text: object) -> float | None:
    """Convert a time reported by a source to Unix seconds."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _is_frozen(source: SourceDocument) -> str | None:
    """Say that a feed's timestamps advance while its content never changes."""
    seconds = source.details.get("frozen_seconds")
    snapshots = source.details.get("frozen_snapshots", 0)
    if not isinstance(seconds, int | float) or not isinstance(snapshots, int) or source.state == "finished":
        return None
    if seconds < FROZEN_SECONDS and snapshots < FROZEN_SNAPSHOTS:
        return None
    return f"{source.name}: its timestamps change, but no flying aircraft has moved for {seconds:.0f} s"


def _age(source: SourceDocument) -> str:
    if source.state == "finished":
        return "has come to its end"
    if source.state == "standby":
        return "is run by another node"
    age = source.last_success_age_seconds
    return "is starting" if age is None else f"{age:.0f} s ago"
