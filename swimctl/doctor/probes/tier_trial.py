"""Trying a tier's limit: real connections up to it and one more, with temporary keys, in the room that is left.

Clients that connect meanwhile are admitted: the process closes a temporary connection for each. However the trial ends,
its connections close and its keys end: here, and by themselves if this process dies.
"""

from __future__ import annotations

import asyncio
import resource
from math import ceil
from typing import TYPE_CHECKING

import msgspec
import psutil
from swim_server.daemon.control.documents.diagnostics import Promises, TierPromise

from swimctl.doctor.check import Answer, fail, ok, unknown, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted, promises, service_url
from swimctl.doctor.probes.tallies import brief_tally
from swimctl.doctor.probes.temporary_keys import lend
from swimctl.doctor.probes.trial_client import Outcome, TrialClient
from swimctl.doctor.probes.wire import Target

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

TRIAL_SECONDS = 90.0
KEY_SECONDS = 100.0
IN_FLIGHT = 64
SPARE_DESCRIPTORS = 64
MOST_EXTRA = 25
"""How many more connections are tried if real clients leave meanwhile."""
OPEN_SECONDS = 15.0
LEAVE_SECONDS = 0.002


class Trial(msgspec.Struct):
    """The outcome for one tier."""

    let_in: int = 0
    refused: Outcome | None = None
    failed: str | None = None
    is_impossible: bool = False
    """This process may not open that many files."""
    possible: int = 0
    """How many files it may open."""
    is_whole: bool = True
    """All the remaining room was tried."""
    counted: int = 0
    """Connections of the tier according to the process, while all were open."""
    now: TierPromise | None = None
    """The limits in force at that time."""


async def limit_holds(context: DoctorContext, tier: str) -> Answer:
    """Check that the configured number is admitted and the next is refused as the protocol says. Raises CannotAsk.

    Tiers are tried one after the other: together they might need more descriptors than this process may have.
    """
    promise = (await promises(context)).tiers.get(tier)
    if promise is None:
        raise CannotAsk(f"the process knows no tier {tier}", "swimctl restart")

    async def attempt() -> Trial:
        async with await context.shared("trial", _make_turn):
            return await _try_limit(context, tier, promise)

    where = f"connections opened in tier {tier}"
    trial = await context.fact("tiers.trial", attempt, where, about=tier, shape=Trial)
    expected = f"{promise.connections} connections admitted, and the next one refused with 4002"
    if trial.is_impossible:
        return unknown(expected, "this process may not open as many files", fix="ulimit -n 20000")
    return _judge(expected, tier, promise, trial)


async def _make_turn() -> asyncio.Lock:
    return asyncio.Lock()


async def _try_limit(context: DoctorContext, tier: str, promise: TierPromise) -> Trial:
    room = max(0, promise.connections - promise.current)
    possible = _possible_connections()
    if possible < 2:
        return Trial(is_impossible=True)
    attempt = min(room, possible - 1)
    target = Target.parse(await service_url(context))
    per_key = promise.connections_per_key or attempt + MOST_EXTRA + 1
    keys = await lend(context, tier, ceil((attempt + MOST_EXTRA + 1) / per_key), KEY_SECONDS)
    api_keys = [key.api_key for key in keys for _ in range(per_key)]
    clients: list[TrialClient] = []
    try:
        trial = await _fill(target, api_keys, attempt, clients)
        if trial.refused is None and trial.failed is None and attempt == room:
            await _add_until_refused(target, api_keys, clients, trial, min(MOST_EXTRA, possible - attempt))
        trial.counted = (await brief_tally(context)).admitted.get(tier, 0)
        trial.now = (await acted(context, "promises", Promises)).tiers.get(tier)
    finally:
        await _leave(clients)
        await asyncio.shield(context.act("probe_keys_end", ids=[key.id for key in keys]))
    trial.is_whole, trial.possible = attempt == room, _descriptor_limit()
    return trial


async def _leave(clients: list[TrialClient]) -> None:
    """Close the clients, some at a time: ten thousand leaving at once would block the process."""
    try:
        for number, client in enumerate(clients, 1):
            client.abort()
            if not number % IN_FLIGHT:
                await asyncio.sleep(LEAVE_SECONDS)
    finally:
        for client in clients:
            client.abort()


async def _fill(target: Target, api_keys: list[str], count: int, clients: list[TrialClient]) -> Trial:
    """Open this many clients, some at a time; stop at the first that is not admitted."""
    trial = Trial()
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def open_one(api_key: str) -> None:
        async with turns:
            if trial.refused is None and trial.failed is None:
                _note(trial, await _open(target, api_key, clients))

    await asyncio.gather(*(open_one(api_keys[number]) for number in range(count)))
    return trial


async def _add_until_refused(
    target: Target, api_keys: list[str], clients: list[TrialClient], trial: Trial, most: int
) -> None:
    begun = trial.let_in
    for number in range(begun, min(begun + most, len(api_keys))):
        if trial.refused is not None or trial.failed is not None:
            return
        _note(trial, await _open(target, api_keys[number], clients))


async def _open(target: Target, api_key: str, clients: list[TrialClient]) -> Outcome:
    client = TrialClient(target, api_key)
    clients.append(client)
    return await client.open(OPEN_SECONDS)


def _note(trial: Trial, outcome: Outcome) -> None:
    if outcome.is_in:
        trial.let_in += 1
    elif outcome.error_code is not None or outcome.close_code is not None:
        trial.refused = trial.refused or outcome
    else:
        trial.failed = trial.failed or outcome.reason


def _judge(expected: str, tier: str, before: TierPromise, trial: Trial) -> Answer:
    limit, now, counted = before.connections, trial.now, trial.counted
    told = f"{trial.let_in} admitted beside {before.current} clients"
    fix = "swimctl logs"
    if now is not None and now.connections != limit:
        return unknown(expected, f"the limit was changed meanwhile: {limit}, then {now.connections}")
    if counted > limit:
        return fail(expected, f"{counted} were admitted", told, fix="swimctl restart")
    if trial.failed is not None:
        return fail(expected, f"{told}; the next one: {trial.failed}", fix=fix)
    refused = trial.refused
    if refused is None and not trial.is_whole:
        more = f"more can't be tried: this process may open {trial.possible} files"
        return warn(expected, f"{told}; {more}", fix=f"ulimit -n {limit + 1000} && swimctl doctor --deep --only tiers")
    if refused is None:
        return fail(expected, f"{told}, and the next one too", fix="swimctl restart")
    if refused.close_code != 4002 or refused.error_code != "CONNECTION_LIMIT":
        return fail(expected, f"{told}; the next one was refused otherwise: {refused.reason}", fix=fix)
    if (refused.tier, refused.limit) != (tier, limit) or refused.current != limit:
        seen = f"the refusal names tier {refused.tier}, {refused.current} of {refused.limit}"
        return fail(expected, seen, told, fix=fix)
    return ok(expected, f"{told}, the next one refused with 4002: {refused.current} of {refused.limit}")


def _possible_connections() -> int:
    """Return how many connections this process can open, with its limit raised as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _descriptor_limit() - psutil.Process().num_fds() - SPARE_DESCRIPTORS


def _descriptor_limit() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_000_000 if limit == resource.RLIM_INFINITY else limit
