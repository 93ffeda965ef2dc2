"""A restart does more than the check that advises it knows: it applies pending settings, and opens every file anew.

So where another check has found what a restart would lose, none is a fix, and that is to be looked at first. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from swimctl.doctor.check import Result, Status, decide, inspect

LOSES_AT_A_RESTART = frozenset({
    "config.running", "process.files", "database.reachable", "database.login", "connections.keys-hold",
})  # fmt: skip
"""Checks whose failure means that the next process would not be as this one, unless they offer a fix."""
_RESTARTS = re.compile(r"swimctl (?:restart|reload)\b|swimctl serve\b|kill -HUP\b")


def without_hasty_restarts(results: Sequence[Result]) -> list[Result]:
    """Put a look before each advice to restart, and make each such fix a decision, where a restart would lose more."""
    losing = [each for each in results if each.id in LOSES_AT_A_RESTART and _loses(each)]
    if not losing:
        return list(results)
    return [each if each in losing else _careful(each, losing) for each in results]


def _loses(result: Result) -> bool:
    return result.status is Status.FAIL and result.fix is None


def _careful(result: Result, losing: Sequence[Result]) -> Result:
    """Return the result with its restarts as decisions, after a look at what they would lose."""
    if not any(_RESTARTS.search(command) for command in _commands(result)):
        return result
    ids = ",".join(each.id for each in losing)
    why = f"a restart also meets this: {losing[0].observed}"
    advice = [inspect(f"swimctl doctor --only {ids}", why), *result.advice]
    if result.fix is None or _RESTARTS.search(result.fix) is None:
        return msgspec.structs.replace(result, advice=tuple(advice))
    advice.append(decide(result.fix, f"once that is well: {why}"))
    return msgspec.structs.replace(result, fix=None, advice=tuple(advice))


def _commands(result: Result) -> Iterable[str]:
    if result.fix is not None:
        yield result.fix
    yield from (each.command for each in result.advice)
