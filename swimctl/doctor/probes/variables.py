"""Variables that set something: those of the running process beside those of this command. Facts, secrets hidden."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

_SETTING = re.compile(r"SWIM_[A-Z0-9]+(?:_[A-Z0-9]+)*__[A-Z0-9_]+")
_SECRET = re.compile(r"PASSWORD|KEY|TOKEN|URL|ODBC|SECRET")
HIDDEN = "***"


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable that is not the same for both. None: not set."""

    name: str
    running: str | None
    """In the process's environment."""
    here: str | None
    """In this command's."""

    @property
    def setting(self) -> str:
        """The setting that it overrides: ``tiers.public.connections``."""
        return self.name.removeprefix("SWIM_").lower().replace("__", ".")


async def differing_variables(context: DoctorContext, pid: int) -> list[Variable] | None:
    """Return the variables that set something for the process or for this command alone; None: hidden."""
    here = dict(context.invocation.environ)
    where = f"/proc/{pid}/environ"

    def look() -> list[Variable] | None:
        running = environment_of(context.procfs.proc, pid)
        return None if running is None else compare(running, here)

    return await context.fact("config.variables", lambda: asyncio.to_thread(look), where, shape=list[Variable] | None)


def environment_of(proc: Path, pid: int) -> dict[str, str] | None:
    """Return the environment that a process was started with; None where that can't be looked at.

    It may hold secrets: it is no fact, and not to be shown.
    """
    try:
        text = (proc / str(pid) / "environ").read_text("utf-8", "replace")
    except OSError:
        return None
    pairs = (part.partition("=") for part in text.split("\0") if part)
    return {name: value for name, _, value in pairs}


def compare(running: Mapping[str, str], here: Mapping[str, str]) -> list[Variable]:
    """Compare two environments. Pure."""
    names = sorted(name for name in running.keys() | here.keys() if _SETTING.fullmatch(name))
    return [
        Variable(name=name, running=_shown(name, running.get(name)), here=_shown(name, here.get(name)))
        for name in names
        if running.get(name) != here.get(name)
    ]


def _shown(name: str, value: str | None) -> str | None:
    return HIDDEN if value and _SECRET.search(name) else value
