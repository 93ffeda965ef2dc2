"""Events: a published one is delivered, sources are fresh, history is written and kept."""

from __future__ import annotations

import shlex
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.status import Status as StatusDocument

from swimctl.client.session import RpcFailed
from swimctl.doctor.check import Answer, Check, Status, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.checks.stream.event_files import judge_event_files, look_at_event_files
from swimctl.doctor.checks.stream.sources import sources
from swimctl.doctor.checks.stream.unknown_types import types_are_known
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted, expecting, promises, status
from swimctl.doctor.probes.other_daemons import other_daemons
from swimctl.doctor.probes.probe_event import Lost, received, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swim_server.daemon.control.documents.diagnostics import KindPromise

    from swimctl.doctor.context import DoctorContext

SLOW_SECONDS = 1.0
AHEAD_SECONDS = 2.0
FULL_SHARE = 0.9


_WRITABLE = "history stores events"


@expecting(_WRITABLE)
async def history_writable(context: DoctorContext) -> Answer:
    """Check that a probe event is stored."""
    try:
        probe = await stored(context)
    except RpcFailed as failed:
        return fail(_WRITABLE, failed.problem, fix=f"ls -l {context.home.path}; df -h {context.home.path}")
    return ok(_WRITABLE, f"a probe was stored as {probe.id}")


_COMES_OUT = "a published event is delivered"


@expecting(_COMES_OUT)
async def event_comes_out(context: DoctorContext) -> Answer:
    """Check that a probe event arrives at a real subscription: stored, matched, framed, written, received."""
    try:
        probe = await received(context)
    except Lost as lost:
        return fail(_COMES_OUT, str(lost), fix="swimctl restart")
    except RpcFailed as failed:
        raise CannotAsk(failed.problem) from None
    seen = f"{probe.id} after {probe.seconds * 1000:.0f} ms"
    if probe.seconds > SLOW_SECONDS * context.load_factor:
        return warn(_COMES_OUT, f"late: {seen}", fix="swimctl status")
    return ok(_COMES_OUT, seen)


_IDS = "ids move forward, and follow the clock"


@expecting(_IDS)
async def ids_forward(context: DoctorContext) -> Answer:
    """Check that each probe has a higher id than all before it, and that no id is ahead of the clock."""
    first = await stored(context)
    where = "the process's status, after the probe"
    newest = await context.fact("stream.newest-id", lambda: _newest_id(context), where, shape=str | None)
    ids = [first.id]
    with suppress(Lost, RpcFailed):  # stream.event-comes-out reports it; one id is enough to compare with the clock
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


async def _newest_id(context: DoctorContext) -> str | None:
    """Return history's newest id now, as a fact of its own so that the status other checks evaluate stays the same."""
    return (await acted(context, "status", StatusDocument)).history.newest_id


def _moment(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    try:
        return int(milliseconds), int(sequence)
    except ValueError:
        raise CannotAsk(f"{event_id[:40]!r} is not an event id", "swimctl restart") from None


_KEPT = "history keeps events for as long as promised"


@expecting(_KEPT)
async def history_kept(context: DoctorContext) -> Answer:
    """Check that no event promised to clients is missing."""
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
    """Check that the files written by providers are read."""
    found = [each for each in (await promises(context)).sources if each.path is not None]
    kinds = {each.name: each.kind for each in (await status(context)).sources}
    files = [(each.name, each.path or "", each.pace_seconds) for each in found if kinds.get(each.name) == "file"]
    if not files:
        return skip(_FILES, "no source of kind file")
    shared = await _shared(context, [path for _, path, _ in files])
    if shared:
        return shared
    looks = await look_at_event_files(context, files)
    troubles = {each.name: each.last_error for each in (await status(context)).sources if each.state != "running"}
    kept = [
        f"{each.name}: whether a taken file is still written to can't be known, it is another user's: it is kept"
        " until it has not grown for ten minutes"
        for each in (await status(context)).sources
        if str(each.details.get("writers", "")).startswith("not known")
    ]
    answer = judge_event_files(_FILES, files, looks, kept)
    reasons = [reason for name, _, _ in files if (reason := troubles.get(name))]
    if answer.status is Status.OK or not reasons:
        return answer
    return msgspec.structs.replace(answer, observed=f"{answer.observed}: {reasons[0]}")


async def _shared(context: DoctorContext, paths: Sequence[str]) -> Answer | None:
    """Report a daemon of another home that reads the same files."""
    for other in await other_daemons(context):
        common = sorted(set(paths) & set(other.paths))
        if common:
            who = f"pid {other.pid} (swimctl of home {other.home})"
            seen = f"{who} takes {common[0]} too: each of the two gets a part of the events"
            theirs = inspect(f"SWIM_HOME={shlex.quote(other.home)} swimctl status", "what the other one is for")
            one = decide("swimctl config check", "one of the two must leave the file to the other: [[sources]] path")
            return fail(_FILES, seen, *common, advice=[theirs, one])
    return None


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
        summary="A published event is delivered to a real subscription",
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
