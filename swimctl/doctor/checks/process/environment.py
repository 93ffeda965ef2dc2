"""Environment variables that override the configuration for the process only, or for this command only."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, Check, decide, fail, inspect, ok, warn
from swimctl.doctor.probes.daemon_facts import config_changes, expecting
from swimctl.doctor.probes.launching import stop_and_start
from swimctl.text import plural

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status

    from swimctl.doctor.context import DoctorContext

EXPECTED = "no variable overrides the files for the process alone, or for this command alone"


@expecting(EXPECTED)
async def overrides_nothing(context: DoctorContext) -> Answer:
    """Check that process and command have the same SWIM_ settings in their environment, by the process's account."""
    different = (await config_changes(context)).environment
    if not different:
        return ok(EXPECTED, "none does")
    found = await context.status()
    lines = [_line(name, value, found.pid) for name, value in different.items()]
    theirs = [name for name, value in different.items() if value is not None and "__" in name]
    named = {name: value for name, value in different.items() if value is not None and "__" not in name}
    ours = [name for name, value in different.items() if value is None]
    advice = [await asyncio.to_thread(_start_without, context, found, theirs)] if theirs else []
    advice += [
        decide(f"export {name}={shlex.quote(value)}", "if this shell is wrong, not the process")
        for name, value in named.items()
    ]
    advice += [decide(f"unset {' '.join(ours)}", "if this shell is wrong, not the process")] if ours else []
    advice += [inspect("swimctl config show --origin")]
    answer = fail if any("__" in name for name in different) else warn
    return answer(EXPECTED, f"{plural(len(lines), 'variable')}: {lines[0]}", *lines, advice=advice)


def _line(name: str, value: str | None, pid: int) -> str:
    setting = f" sets {setting_of(name)}" if "__" in name else ""
    if value is None:
        return f"{name} in this shell{setting}; it is not set in the process"
    return f"{name}={value} in the environment of pid {pid}{setting}; it is another one here, or not set"


def setting_of(name: str) -> str:
    """Return the setting that a variable overrides: ``tiers.public.connections``."""
    return name.removeprefix("SWIM_").lower().replace("__", ".")


def _start_without(context: DoctorContext, found: Status, names: list[str]) -> Advice:
    """Advise to start the process without the variables: neither reload nor restart changes its environment."""
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
