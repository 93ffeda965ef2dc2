"""Runs checks concurrently, each after those it needs; a hanging check is cut off."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.check import UNLOADABLE, Answer, Check, Result, Status, command_in, skip, unknown
from swimctl.doctor.facts import NotSaved
from swimctl.doctor.proven import only_proven
from swimctl.errors import CommandError, DaemonNotRunning

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

GOOD_GROUND = (Status.OK, Status.WARN)
_GONE = re.compile(r"[\w.-]+ is (?:fail|unknown|skip)")
"""Text of a check that was skipped because of another; the other's own cause is passed on."""
WHOLE_SECONDS = 2.4
"""Limit for all checks together, without ``--deep``: with the program's start, less than three seconds."""


async def run_checks(checks: Sequence[Check], context: DoctorContext) -> list[Result]:
    """Run all checks; results are in the order of the checks. Needed checks that are not among them count as passed."""
    deadline = time.perf_counter() + max(WHOLE_SECONDS * context.load_factor, context.options.timeout_seconds or 0.0)
    context.deadline = None if any(check.is_deep for check in checks) else deadline
    results: dict[str, asyncio.Task[Result]] = {}
    async with asyncio.TaskGroup() as tasks:
        # Checks that load the service start after all others.
        for check in sorted(in_order(checks), key=lambda each: each.is_deep):
            dependencies = [results[needed] for needed in check.needs if needed in results]
            others = [results[each.id] for each in checks if not each.is_deep] if check.is_deep else []
            results[check.id] = tasks.create_task(_run_one(check, dependencies, others, context, deadline))
    return [results[check.id].result() for check in checks]


def in_order(checks: Iterable[Check]) -> list[Check]:
    """Order the checks so that each comes after those it needs. Raises AssertionError for a circle."""
    waiting = {check.id: check for check in checks}
    ordered: list[Check] = []
    while waiting:
        ready = [check for check in waiting.values() if not any(needed in waiting for needed in check.needs)]
        if not ready:
            raise AssertionError(f"checks need each other in a circle: {', '.join(waiting)}")
        for check in ready:
            del waiting[check.id]
        ordered += ready
    return ordered


async def _run_one(
    check: Check,
    dependencies: Sequence[asyncio.Task[Result]],
    others: Sequence[asyncio.Task[Result]],
    context: DoctorContext,
    deadline: float,
) -> Result:
    for task in others:
        await asyncio.shield(task)
    for task in dependencies:
        result = await asyncio.shield(task)
        if result.status not in GOOD_GROUND:
            is_itself_skipped = result.status is Status.SKIP and _GONE.fullmatch(result.observed)
            why = result.observed if is_itself_skipped else f"{result.id} is {result.status}"
            return _result(check, skip(check.summary, why), 0.0)
    started = time.perf_counter()
    seconds = max(check.timeout_seconds * context.load_factor, context.options.timeout_seconds or 0.0)
    if not check.is_deep:
        seconds = min(seconds, max(0.05, deadline - started))
    return _result(check, await _ask(check, context, seconds), time.perf_counter() - started)


async def _ask(check: Check, context: DoctorContext, seconds: float) -> Answer:
    try:
        async with asyncio.timeout(seconds) as limit:
            with context.facts.asked_by(check.id):
                return await check.ask(context)
    except TimeoutError as error:
        if limit.expired():
            return unknown(check.summary, f"no answer within {seconds:.3g} s")
        return unknown(check.summary, f"timed out: {error}" if str(error) else "timed out")
    except DaemonNotRunning:
        return skip(check.summary, "the daemon is not running")
    except CommandError as error:
        return unknown(check.summary, error.problem, command_in(error.next_step))
    except PermissionError as error:
        return unknown(check.summary, f"this user may not look at it: {error.filename or error.strerror}")
    except (SyntaxError, ImportError) as error:
        return unknown(check.summary, f"{UNLOADABLE}: {error}")
    except NotSaved as error:
        return unknown(check.summary, str(error))
    except Exception as error:  # noqa: BLE001  # a check that breaks says so; the others go on
        return unknown(check.summary, f"the check itself failed: {type(error).__name__}: {error}")


def _result(check: Check, answer: Answer, seconds: float) -> Result:
    answer = only_proven(check.id, answer)
    return Result(
        id=check.id,
        area=check.area,
        status=answer.status,
        expected=answer.expected,
        observed=answer.observed,
        evidence=answer.evidence,
        fix=answer.fix,
        advice=answer.advice,
        seconds=round(seconds, 3),
    )
