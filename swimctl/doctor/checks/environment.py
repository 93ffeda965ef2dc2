"""Variables that override the configuration files: for the process alone, or for this command alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, Check, decide, fail, inspect, ok, skip
from swimctl.doctor.probes.launching import stop_and_start
from swimctl.doctor.probes.variables import Variable, differing_variables
from swimctl.text import plural

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status

    from swimctl.doctor.context import DoctorContext

EXPECTED = "no variable overrides the files for the process alone, or for this command alone"


async def overrides_nothing(context: DoctorContext) -> Answer:
    """Check that process and command have the same variables that set something."""
    found = await context.status()
    variables = await differing_variables(context, found.pid)
    if variables is None:
        return skip(EXPECTED, "only the daemon's own user, or root, may look at its environment")
    if not variables:
        return ok(EXPECTED, "none does")
    lines = [_line(each, found.pid) for each in variables]
    theirs = [each.name for each in variables if each.running is not None]
    ours = [each.name for each in variables if each.running is None]
    advice = [inspect(f"tr '\\0' '\\n' < /proc/{found.pid}/environ | grep -o '^SWIM_[A-Z_0-9]*'", "names alone")]
    advice += [await asyncio.to_thread(_start_without, context, found, theirs)] if theirs else []
    advice += [decide(f"unset {' '.join(ours)}", "if this shell is wrong, not the process")] if ours else []
    observed = f"{plural(len(lines), 'variable')}: {lines[0]}"
    return fail(EXPECTED, observed, *lines, advice=advice)


def _line(each: Variable, pid: int) -> str:
    if each.running is None:
        return f"{each.name}={each.here} in this shell sets {each.setting}; the process has no such variable"
    here = "this shell has no such variable" if each.here is None else f"{each.here} in this shell"
    return f"{each.name}={each.running} in the environment of pid {pid} sets {each.setting}; {here}"


def _start_without(context: DoctorContext, found: Status, names: list[str]) -> Advice:
    """Advise to start it again without the variables: neither a reload nor a restart changes its environment."""
    again = stop_and_start(context, found.arguments, found.supervisor, found.connections.total)
    if again.command.startswith("swimctl stop && "):
        without = " ".join(f"-u {name}" for name in names)
        command = again.command.replace("swimctl stop && ", f"swimctl stop && env {without} ", 1)
        return decide(command, f"if the files are right and the variable is not: {again.requires}")
    return again


CHECKS: tuple[Check, ...] = (
    Check(
        id="config.environment",
        summary="No variable overrides the files for the process alone",
        ask=overrides_nothing,
        needs=("process.answers",),
    ),
)
