"""The state shown by the process: it must equal the fold of history, verified on a sample of entries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from swim_server.daemon.control.documents.diagnostics import SampledEntry, StateSample

from swimctl.client.session import RpcFailed
from swimctl.doctor.check import Answer, Check, fail, inspect, ok, skip
from swimctl.doctor.probes.daemon_facts import CannotAsk, asked, expecting
from swimctl.doctor.probes.second_look import twice
from swimctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swim_server.state.kinds import Kind

    from swimctl.doctor.context import DoctorContext

_FOLD = "the state is the fold of history"
SHOWN = 5


@expecting(_FOLD)
async def state_is_fold(context: DoctorContext) -> Answer:
    """Check that a sample of recent entries equals the fold of their events; fold here, and look twice."""
    return await twice(context, lambda: _look(context), "process.state_sample")


async def _look(context: DoctorContext) -> Answer:
    try:
        sample = await asked(context, "state_sample", StateSample)
    except RpcFailed as failed:
        raise CannotAsk(failed.problem) from None
    if sample.as_of is None:
        return skip(_FOLD, "the state is still being loaded")
    if not sample.entries:
        return skip(_FOLD, "history's newest events open no entry")
    wrong = await asyncio.to_thread(_differences, sample.entries)
    if not wrong:
        return ok(_FOLD, f"as of {sample.as_of}: {plural(len(sample.entries), 'entry', 'entries')} folded again")
    advice = [inspect("swimctl flights --json"), inspect("swimctl logs")]
    observed = f"{len(wrong)} of {plural(len(sample.entries), 'entry', 'entries')} are not: {wrong[0]}"
    return fail(_FOLD, observed, *wrong[:SHOWN], advice=advice)


def _differences(entries: Sequence[SampledEntry]) -> list[str]:
    """Fold the events of each entry, and report where the process's state differs. Pure.

    Kinds declared in the configuration are skipped: the process may have read another configuration.
    """
    from swim_server.state.kinds import BUILT_IN

    kinds = {kind.name: kind for kind in BUILT_IN}
    found = []
    for each in entries:
        if each.kind in kinds:
            difference = _difference(each, fold_again(each, kinds[each.kind]))
            found += [f"{each.kind} {each.key[:40]}: {difference}"] if difference else []
    return found


def fold_again(sampled: SampledEntry, kind: Kind) -> dict[str, Any] | None:
    """Fold all events of one entry in order; None: they end the entry. Pure."""
    from swim_server.state.world import Entries

    entries = Entries(kind)
    for event in sampled.told:
        entries.fold(event.type, event.data, event.timestamp, event.at_ms)
    return next(iter(entries.by_key.values()), None)


def _difference(sampled: SampledEntry, folded: Mapping[str, Any] | None) -> str | None:
    held = sampled.entry
    if held is None or folded is None:
        if held is folded:
            return None
        return "history has it, the state doesn't" if held is None else "its events end it, the state has it"
    names = sorted(name for name in {*held, *folded} if held.get(name) != folded.get(name))
    return f"otherwise in {', '.join(names[:4])} than its {plural(len(sampled.told), 'event')} tell" if names else None


CHECKS: tuple[Check, ...] = (
    Check(
        id="stream.state-is-fold",
        summary="The state is the fold of history",
        ask=state_is_fold,
        needs=("process.answers",),
        timeout_seconds=4.0,
    ),
)
