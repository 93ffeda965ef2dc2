"""A doctor report for a terminal. Pure functions of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from swimctl.doctor.catalogue import AREAS
from swimctl.doctor.check import Advice, AdviceKind, Result, Status
from swimctl.text import clean

if TYPE_CHECKING:
    from swimctl.doctor.report import Report

MARKS = {Status.OK: "✓", Status.WARN: "!", Status.FAIL: "✗", Status.SKIP: "–", Status.UNKNOWN: "?"}
STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red", Status.SKIP: "dim", Status.UNKNOWN: "magenta"}
WORDS = {AdviceKind.INSPECT: "look", AdviceKind.FIX: "type", AdviceKind.DECIDE: "or"}
MAX_EVIDENCE = 8


def picture(report: Report, *, is_screen: bool = False) -> RenderableType:
    """Lay out a report for people: problems first, with what to type; then one line per area.

    Each command is one line, however long, so that it can be pasted; on a screen that would cut it, it is folded.
    """
    problems = report.problems
    parts: list[RenderableType] = [_headline(report), Text()]
    if report.changed:
        parts += [*(Text(f"  fixed: {clean(line)}", style="cyan") for line in report.changed), Text()]
    for number, each in enumerate(problems):
        following = report.following(each.id)
        parts += [problem(each, following, is_first=number == 0, is_screen=is_screen), Text()]
    parts.append(_areas(report))
    return Group(*parts)


def problem(
    result: Result, following: Sequence[Result] = (), *, is_first: bool, is_screen: bool = False
) -> RenderableType:
    """Lay out one problem in full, with what follows from it."""
    style = STYLES[result.status]
    title = Text().append(f"{MARKS[result.status]} {result.id}", style=f"bold {style}")
    if is_first:
        title.append("   look here first", style="dim")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("expected", Text(clean(result.expected)))
    grid.add_row("observed", Text(clean(result.observed), style="bold" if is_first else ""))
    evidence = [line for line in result.evidence if line != result.observed]
    for number, line in enumerate(evidence[:MAX_EVIDENCE]):
        grid.add_row("" if number else "seen in", Text(clean(line), style="dim"))
    if len(evidence) > MAX_EVIDENCE:
        grid.add_row("", Text(f"and {len(evidence) - MAX_EVIDENCE} more; all with --json", style="dim"))
    for number, one in enumerate(following):
        told = Text(f"{MARKS[one.status]} {one.id}  ", style=STYLES[one.status])
        grid.add_row("" if number else "hence", told.append(clean(one.observed), style="dim"))
    parts: list[RenderableType] = [title, Padding(grid, (0, 0, 0, 2))]
    if result.fix is not None:
        parts.append(_command("type", result.fix, "bold cyan", is_screen=is_screen))
    for each in result.advice:
        parts += _advice(each, is_screen=is_screen)
    return Group(*parts)


def _command(word: str, command: str, style: str, *, is_screen: bool) -> RenderableType:
    if not is_screen:
        words = ((f"  {word:<10}", "dim"), (clean(command), style))
        return Text.assemble(*words, no_wrap=True, overflow="ignore")
    grid = Table.grid()
    grid.add_column(style="dim", no_wrap=True, width=12)
    grid.add_column(style=style, overflow="fold")
    grid.add_row(f"  {word}", Text(clean(command)))
    return grid


def _advice(advice: Advice, *, is_screen: bool) -> list[RenderableType]:
    """Lay out a command that should not be pasted without thinking, with what it requires."""
    lines = [_command(WORDS[advice.kind], advice.command, "cyan", is_screen=is_screen)]
    if advice.requires is not None:
        lines.append(Padding(Text(clean(advice.requires), style="dim"), (0, 0, 0, 12)))
    return lines


def _headline(report: Report) -> Text:
    bad = [status for status in (Status.FAIL, Status.UNKNOWN, Status.WARN) if report.count(status)]
    worst = bad[0] if bad else Status.OK
    words = [f"{report.count(status)} {status}" for status in bad] or [f"all well: {report.count(Status.OK)} checks"]
    line = Text().append(f"{MARKS[worst]} ", style=f"bold {STYLES[worst]}").append(", ".join(words), style="bold")
    return line.append(f"   {clean(report.subject)}, {report.seconds:.1f} s", style="dim")


def _areas(report: Report) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for area in AREAS:
        results = [each for each in report.results if each.area == area]
        if results:
            worst = min((each.status for each in results), key=_ORDER.index)
            grid.add_row(Text(MARKS[worst], style=STYLES[worst]), Text(area), _names(results))
    return grid


_ORDER = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.OK, Status.SKIP)


def _names(results: Sequence[Result]) -> Text:
    line = Text()
    for each in results:
        name = each.id.partition(".")[2]
        line.append(", " if line.plain else "", style="dim")
        line.append(name, style="" if each.status is Status.OK else STYLES[each.status])
    return line
