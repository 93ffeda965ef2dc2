"""Events: one put in comes out, sources are fresh, history is written and kept."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from swimctl.client.session import RpcFailed
from swimctl.doctor.check import Answer, Check, fail, ok, skip, warn
from swimctl.doctor.checks.event_files import judge_event_files, look_at_event_files
from swimctl.doctor.checks.unknown_types import types_are_known
from swimctl.doctor.probes.daemon_facts import CannotAsk, expecting, promises, status
from swimctl.doctor.probes.probe_event import Lost, received, stored
from swimctl.doctor.probes.second_look import twice

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.diagnostics import KindPromise
    from swim_server.daemon.control.documents.status import SourceDocument, Status

    from swimctl.doctor.context import DoctorContext

SLOW_SECONDS = 1.0
STALL_INTERVALS, STALL_SECONDS = 3.0, 5.0
"""A source that did not look at its input for so many intervals, and some seconds more, stands still."""
STARTING_SECONDS = 60.0
AHEAD_SECONDS = 2.0
FULL_SHARE = 0.9
MANY_REJECTED = 10
OLD_FEED_SECONDS, OLD_FEED_INTERVALS = 300.0, 10.0
"""A feed whose data is older than that no longer tells of now, however quickly it answers."""


_SOURCES = "every source has looked at its input lately, and could read all of it"


@expecting(_SOURCES)
async def sources(context: DoctorContext) -> Answer:
    """Check that no source has failed, stands still, or misses part of its input; looked at twice."""
    return await twice(context, lambda: _look_at_sources(context), "process.status", "process.promises")


async def _look_at_sources(context: DoctorContext) -> Answer:
    document = await status(context)
    paces = {each.name: each.pace_seconds for each in (await promises(context)).sources}
    if not document.sources:
        return ok(_SOURCES, "there are none: events come from publishers alone")
    broken = [line for each in document.sources if (line := _broken(each, paces.get(each.name, 1.0), document))]
    broken += [line for each in document.sources if (line := _rejects(each))]
    partly = [f"{each.name}: {each.last_error or 'degraded'}" for each in document.sources if each.state == "degraded"]
    partly += [line for each in document.sources if (line := _is_old(each, paces.get(each.name, 1.0)))]
    if broken:
        return fail(_SOURCES, "; ".join(broken), *partly, fix="swimctl logs")
    if partly:
        return warn(_SOURCES, "; ".join(partly), fix="swimctl logs")
    return ok(_SOURCES, ", ".join(f"{each.name} {_age(each)}" for each in document.sources))


def _broken(source: SourceDocument, pace_seconds: float, status: Status) -> str | None:
    """Say why a source gives nothing just now."""
    patience = STALL_INTERVALS * pace_seconds + STALL_SECONDS
    age = source.last_success_age_seconds
    reason = f": {source.last_error}" if source.last_error else ""
    if source.state == "finished":
        return None
    if any(name.endswith("_missing") and value for name, value in source.details.items()):
        return f"{source.name}{reason}"  # a table or a column: it doesn't come back by itself
    if source.state in ("failed", "stopped"):
        return f"{source.name} has {source.state}{reason}"
    if source.state == "starting" and age is None:
        is_late = status.uptime_seconds > max(STARTING_SECONDS, patience)
        return f"{source.name} is still starting after {status.uptime_seconds:.0f} s{reason}" if is_late else None
    if age is None and status.uptime_seconds > patience:
        return f"{source.name} has never read its input{reason}"
    if age is not None and age > patience:
        return f"{source.name} stands still: {age:.0f} s since it read its input, every {pace_seconds:g} s{reason}"
    return None


def _rejects(source: SourceDocument) -> str | None:
    """Say that a source can't publish most of what its input has."""
    if source.rejected < MANY_REJECTED or source.rejected <= source.events:
        return None
    reason = f": {source.last_error}" if source.last_error else ""
    return f"{source.name} rejects most of its input: {source.rejected} of {source.rejected + source.events}{reason}"


def _is_old(source: SourceDocument, pace_seconds: float) -> str | None:
    """Say that a feed answers, and that what it says is old."""
    age = source.feed_age_seconds
    if age is None or age <= max(OLD_FEED_SECONDS, OLD_FEED_INTERVALS * pace_seconds) or source.state == "finished":
        return None
    return f"{source.name}: its feed answers, but what it says is {age:.0f} s old"


def _age(source: SourceDocument) -> str:
    if source.state == "finished":
        return "has come to its end"
    age = source.last_success_age_seconds
    return "is starting" if age is None else f"{age:.0f} s ago"


_WRITABLE = "history stores events"


@expecting(_WRITABLE)
async def history_writable(context: DoctorContext) -> Answer:
    """Check that a probe is stored."""
    try:
        probe = await stored(context)
    except RpcFailed as failed:
        return fail(_WRITABLE, failed.problem, fix=f"ls -l {context.home.path}; df -h {context.home.path}")
    return ok(_WRITABLE, f"a probe was stored as {probe.id}")


_COMES_OUT = "an event that is put in comes out"


@expecting(_COMES_OUT)
async def event_comes_out(context: DoctorContext) -> Answer:
    """Check that a probe comes out of a real subscription: stored, matched, framed, written, received."""
    try:
        probe = await received(context)
    except Lost as lost:
        return fail(_COMES_OUT, str(lost), fix="swimctl restart")
    except RpcFailed as failed:
        raise CannotAsk(failed.problem) from None
    seen = f"{probe.id} after {probe.seconds * 1000:.0f} ms"
    if probe.seconds > SLOW_SECONDS * context.stretch:
        return warn(_COMES_OUT, f"late: {seen}", fix="swimctl status")
    return ok(_COMES_OUT, seen)


_IDS = "ids move forward, and follow the clock"


@expecting(_IDS)
async def ids_forward(context: DoctorContext) -> Answer:
    """Check that each probe has a higher id than all before it, and that no id runs ahead of the clock."""
    first = await stored(context)
    newest = (await status(context, anew=True)).history.newest_id
    ids = [first.id]
    with suppress(Lost, RpcFailed):  # stream.event-comes-out tells; one id is enough to hold against the clock
        ids.append((await received(context)).id)
    moments = [_moment(each) for each in ids]
    if any(earlier >= later for earlier, later in pairwise(moments)):
        return fail(_IDS, f"they don't: {', '.join(ids)}", fix="swimctl restart")
    if newest is None or _moment(newest) < moments[0]:
        seen = f"history's newest is {newest}, though {first.id} was stored before"
        return fail(_IDS, seen, fix="swimctl restart")
    seen_at = max(context.now, context.facts.seen_at("stream.stored", "stream.received"))
    ahead = moments[-1][0] / 1000 - seen_at
    if ahead > AHEAD_SECONDS:
        seen = f"the newest is {ahead:.0f} s ahead of the clock, which was set back"
        return warn(_IDS, seen, ids[-1], fix="timedatectl status")
    return ok(_IDS, ids[-1])


def _moment(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    try:
        return int(milliseconds), int(sequence)
    except ValueError:
        raise CannotAsk(f"{event_id[:40]!r} is no event id", "swimctl restart") from None


_KEPT = "history keeps events for as long as promised"


@expecting(_KEPT)
async def history_kept(context: DoctorContext) -> Answer:
    """Check that nothing is gone that clients were promised to find."""
    history = (await promises(context)).history
    size = (await status(context)).history.size_bytes
    expected = f"events for {_span(history.events)}, positions for {_span(history.positions)}"
    if history.problem is not None:
        return fail(expected, f"history can't be read: {history.problem}", fix="swimctl logs")
    told = f"{size / 1e6:.1f} of {history.max_bytes / 1e6:.0f} MB"
    short = [name for name, kind in (("events", history.events), ("positions", history.positions)) if kind.has_gap]
    if short:
        is_full = size >= FULL_SHARE * history.max_bytes
        fix = f"swimctl config set history.max_bytes {2 * history.max_bytes}" if is_full else "swimctl logs"
        reason = (
            "there is no more room for them" if is_full else "a part was lost: damage, power cut, or a shorter keep"
        )
        return warn(expected, f"some {' and '.join(short)} of that time are gone: {reason}", told, fix=fix)
    return ok(expected, f"nothing is missing, {told}")


def _span(kind: KindPromise) -> str:
    hours = kind.keep_seconds / 3600
    return f"{hours:g} h" if hours >= 1 else f"{kind.keep_seconds / 60:g} min"


_FILES = "the event file is taken as soon as it is written"


@expecting(_FILES)
async def event_files(context: DoctorContext) -> Answer:
    """Check that what providers write is read."""
    found = [each for each in (await promises(context)).sources if each.path is not None]
    kinds = {each.name: each.kind for each in (await status(context)).sources}
    files = [(each.name, each.path or "", each.pace_seconds) for each in found if kinds.get(each.name) == "file"]
    if not files:
        return skip(_FILES, "no source of kind file")
    looks = await look_at_event_files(context, files)
    return judge_event_files(_FILES, files, looks)


CHECKS: tuple[Check, ...] = (
    Check(
        id="stream.history-writable",
        summary="History stores events",
        ask=history_writable,
        needs=("process.answers",),
        timeout_seconds=4.0,
    ),
    Check(
        id="stream.event-comes-out",
        summary="An event that is put in comes out of a real subscription",
        ask=event_comes_out,
        needs=("process.answers", "stream.history-writable"),
        timeout_seconds=9.0,
    ),
    Check(
        id="stream.ids-forward",
        summary="Event ids move forward and follow the clock",
        ask=ids_forward,
        needs=("process.answers", "stream.history-writable"),
        timeout_seconds=9.0,
    ),
    Check(
        id="stream.history-kept",
        summary="History keeps events for as long as promised",
        ask=history_kept,
        needs=("process.answers",),
    ),
    Check(
        id="stream.sources",
        summary="Every source reads its input at its own pace",
        ask=sources,
        needs=("process.answers",),
    ),
    Check(
        id="stream.known-types",
        summary="Every event type that providers write is known",
        ask=types_are_known,
        needs=("process.answers", "config.valid"),
    ),
    Check(
        id="stream.event-file",
        summary="The provider's event file is taken as soon as it is written",
        ask=event_files,
        needs=("process.answers",),
        timeout_seconds=4.0,
    ),
)
