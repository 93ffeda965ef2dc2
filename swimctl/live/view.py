"""The live table as one frame: a pure function of the model, the size and the moment."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from swimctl.live.model import Note, TailModel
from swimctl.render.event_row import EventRow
from swimctl.text import count, duration, rate

ID_FROM_WIDTH = 120
"""Terminals as wide as this have a column with the events' ids."""
STATES = {
    "connecting": ("○ connecting", "yellow"),
    "resuming": ("◐ reading history", "yellow"),
    "live": ("● live", "green"),
    "lost": ("○ reconnecting", "bold red"),
}
HEADINGS = ("UTC", "EVENT", "CALLSIGN", "FROM → TO", "WHAT HAPPENED", "ID")
CLOCK_WIDTH, TYPE_WIDTH, CALLSIGN_WIDTH, ROUTE_WIDTH, ID_WIDTH = 8, 12, 8, 13, 19


def frame(
    model: TailModel, width: int, height: int, now: float, *, elapsed: float, banner: Sequence[Text] = ()
) -> RenderableType:
    """Lay out a screen of ``width`` by ``height``: header, banner, and as many of the newest lines as fit."""
    head = [*header(model, width, now, elapsed), *(part for line in banner for part in _fold(line, width))]
    room = max(1, height - len(head) - 2)
    return Group(*head, Text(), events(model, width, room))


def header(model: TailModel, width: int, now: float, elapsed: float) -> list[Text]:
    """Where it comes from and how it goes; rates; totals."""
    state, style = STATES[model.state]
    first = Text("SWIM ", style="bold").append(state, style=style)
    first.append(f"  {model.title}", style="" if model.state != "lost" else "dim")
    if model.state == "lost" and model.reason:
        first.append(f"  {model.reason}", style="dim")
    if model.wanted:
        first.append(f"  {model.wanted}", style="dim")
    per_second, positions = model.rates(now)
    flow = [f"{rate(per_second, 'events')}", f"{rate(positions, 'positions')}", f"{count(model.positions)} in all"]
    if model.clients is not None:
        flow.append(f"{model.clients} client{'' if model.clients == 1 else 's'}")
    flow.append(f"for {duration(elapsed)}")
    return [_cut(first, width), _cut(Text("  ".join(flow)), width), _cut(_totals(model), width)]


def _totals(model: TailModel) -> Text:
    text = Text()
    for label, number, style in (
        ("departed", model.totals["flight.departed"], "green"),
        ("arrived", model.totals["flight.arrived"], "cyan"),
        ("created", model.totals["flight.created"], ""),
        ("updated", model.totals["flight.updated"], ""),
        ("deleted", model.totals["flight.deleted"], ""),
        ("tmi", model.family("tmi."), "red"),
    ):
        text.append(count(number), style=f"bold {style}" if number else "dim").append(f" {label}  ", style="dim")
    others = model.events - model.family("flight.") - model.family("tmi.")
    if others:
        text.append(count(others), style="bold").append(" other", style="dim")
    text.rstrip()
    return text


def events(model: TailModel, width: int, room: int) -> Group:
    """Return the newest ``room`` lines, oldest first, in the columns that the width has room for."""
    columns = _columns(width)
    lines = [_row([(heading, "bold") for heading in HEADINGS], columns)]
    for row in list(model.rows)[-room:]:
        if isinstance(row, Note):
            lines.append(_cut(Text(row.text, style=row.style), width))
        else:
            lines.append(_happening(row, columns))
    if not model.rows:
        lines.append(_cut(Text("waiting for the first event …", style="dim"), width))
    return Group(*lines)


def _columns(width: int) -> list[int]:
    """Return the widths of the columns; what happened gets what is left, the id only where there is plenty."""
    fixed = [CLOCK_WIDTH, TYPE_WIDTH, CALLSIGN_WIDTH, ROUTE_WIDTH]
    id_width = ID_WIDTH if width >= ID_FROM_WIDTH else 0
    rest = width - sum(fixed) - len(fixed) - (id_width + 1 if id_width else 0)
    return [*fixed, max(0, rest), id_width]


def _happening(row: EventRow, columns: list[int]) -> Text:
    quiet = row.style if row.style == "dim" else ""
    cells = [
        (row.clock, "dim"), (row.short_type, row.style), (row.callsign, quiet or "bold"), (row.route, quiet),
        (row.text, quiet), (row.id, "dim"),
    ]  # fmt: skip
    return _row(cells, columns)


def _row(cells: Sequence[tuple[str, str]], columns: list[int]) -> Text:
    line = Text(no_wrap=True)
    for (text, style), width in zip(cells, columns, strict=True):
        if width:
            cell = Text(text, style=style)
            cell.truncate(width, overflow="ellipsis", pad=True)
            line.append_text(cell).append(" ")
    line.rstrip()
    return line


def _fold(line: Text, width: int) -> list[Text]:
    """Break a line that is to be typed elsewhere so that a shell takes its parts as one."""
    plain, parts = line.plain, []
    while len(plain) > width:
        parts.append(plain[: width - 1] + "\\")
        plain = plain[width - 1 :]
    return [Text(part, style=line.style, no_wrap=True) for part in [*parts, plain]]


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text
