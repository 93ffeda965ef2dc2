"""Why a check came out as it did, for a terminal and for a pipe. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from swimctl.doctor.explain import Step, value_of
from swimctl.render.doctor_picture import MARKS, STYLES
from swimctl.text import clean

MOST_CHARACTERS = 300
"""Longest value on a terminal; ``--json`` prints it whole."""


def explained(steps: Sequence[Step]) -> RenderableType:
    """Lay out the path for people: dependencies first, the check itself last."""
    parts: list[RenderableType] = []
    for step in steps:
        result = step.result
        title = Text().append(f"{MARKS[result.status]} {result.id}", style=f"bold {STYLES[result.status]}")
        title.append(f"  {clean(result.observed)}")
        if result.cause is not None:
            title.append(f"  (because of {result.cause})", style="dim")
        parts.append(title)
        if step.facts:
            parts.append(Padding(_facts(step), (0, 0, 0, 4)))
    return Group(*parts)


def _facts(step: Step) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", overflow="fold")
    grid.add_column(overflow="fold")
    grid.add_column(style="dim", overflow="fold")
    for fact in step.facts:
        clock = time.strftime("%H:%M:%S", time.localtime(fact.at))
        grid.add_row(Text(clean(fact.id)), Text(_short(clean(value_of(fact)))), Text(clean(f"{fact.source}, {clock}")))
    return grid


def explained_lines(steps: Sequence[Step]) -> list[str]:
    """Return one line per fact for scripts: check, status, fact, value, source, time, separated by tabs."""
    rows = []
    for step in steps:
        result = step.result
        rows.append([result.id, str(result.status), "-", result.observed, "-", "-"])
        rows += [
            [result.id, str(result.status), fact.id, _short(value_of(fact)), fact.source, f"{fact.at:.3f}"]
            for fact in step.facts
        ]
    return ["\t".join(clean(cell) for cell in row) for row in rows]


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
