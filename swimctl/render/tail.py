"""The live table as one frame: a pure function of the model, the size and the moment."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swimctl.render.happening import Happening
from swimctl.tail_model import Note, TailModel
from swimctl.text import count, duration, rate

ID_FROM_WIDTH = 120
"""Terminals as wide as this have a column with the events' ids."""
STATES = {
    "connecting": ("○ connecting", "yellow"),
    "resuming": ("◐ reading history", "yellow"),
    "live": ("● live", "green"),
    "lost": ("○ reconnecting", "bold red"),
}
CLOCK_WIDTH, TYPE_WIDTH, CALLSIGN_WIDTH, ROUTE_WIDTH, ID_WIDTH = 8, 12, 8, 13, 19


def frame(
    model: TailModel, width: int, height: int, now: float, *, elapsed: float, banner: Sequence[Text] = ()
) -> RenderableType:
    """Lay out a screen of ``width`` by ``height``: header, banner, and as many of the newest lines as fit."""
    head = [*header(model, width, now, elapsed), *(_cut(line, width) for line in banner)]
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
    flow = [f"{rate(per_second)} events", f"{rate(positions)} positions", f"{count(model.positions)} positions so far"]
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


def events(model: TailModel, width: int, room: int) -> Table:
    """The newest ``room`` lines, oldest first, in the columns that the width has room for."""
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold", width=width)
    grid.add_column("UTC", width=CLOCK_WIDTH, no_wrap=True)
    grid.add_column("EVENT", width=TYPE_WIDTH, no_wrap=True, overflow="ellipsis")
    grid.add_column("CALLSIGN", width=CALLSIGN_WIDTH, no_wrap=True, overflow="ellipsis")
    grid.add_column("FROM → TO", width=ROUTE_WIDTH, no_wrap=True, overflow="ellipsis")
    grid.add_column("WHAT HAPPENED", ratio=1, no_wrap=True, overflow="ellipsis")
    has_id = width >= ID_FROM_WIDTH
    if has_id:
        grid.add_column("ID", width=ID_WIDTH, no_wrap=True, style="dim")
    for row in list(model.rows)[-room:]:
        cells = _note_cells(row) if isinstance(row, Note) else _cells(row)
        grid.add_row(*(cells if has_id else cells[:-1]))
    if not model.rows:
        grid.add_row("", "", "", "", Text("waiting for the first event …", style="dim"), *([""] if has_id else []))
    return grid


def _cells(row: Happening) -> list[Text]:
    return [
        Text(row.clock, style="dim"),
        Text(row.short_type, style=row.style),
        Text(row.callsign, style="bold" if row.style != "dim" else "dim"),
        Text(row.route, style=row.style if row.style == "dim" else ""),
        Text(row.text, style=row.style if row.style == "dim" else ""),
        Text(row.id),
    ]


def _note_cells(note: Note) -> list[Text]:
    return [Text(), Text(), Text(), Text(), Text(note.text, style=note.style), Text()]


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text
