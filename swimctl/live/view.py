"""The live table as one frame: a pure function of model, size and time."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from swimctl.live.model import Note, TailModel
from swimctl.render.event_row import EventRow
from swimctl.text import count, duration, plural, rate

ID_FROM_WIDTH = 110
"""Terminals as wide as this have a column with the events' ids."""
FULL_HEAD_FROM_HEIGHT = 12
"""Smaller terminals have a one-line header and no banner: the rest is for events."""
BANNER_SECONDS = 60.0
"""How long hints are shown; ? shows them again."""
STATES = {
    "connecting": ("○ connecting", "yellow"),
    "resuming": ("◐ reading history", "yellow"),
    "live": ("● live", "green"),
    "lost": ("○ reconnecting", "bold red"),
    "away": ("○ ", "bold red"),
}
KEYS = "q quit   space pause   ? help"
HELP = (
    "events          shown since this table began; a batch of positions counts as one",
    "positions       positions of flights in those batches",
    "…/s             over the last ten seconds",
    "remote clients  client connections to the service, without this one",
    "WHAT HAPPENED   … at its end: cut off; a wider terminal or --json shows all of it",
)
HEADINGS = ("UTC", "EVENT", "CALLSIGN", "FROM → TO", "WHAT HAPPENED", "ID")
LEAST_TEXT_WIDTH = 14
CLOCK_WIDTH, TYPE_WIDTH, CALLSIGN_WIDTH, ROUTE_WIDTH, ID_WIDTH = 8, 12, 8, 13, 19


def frame(
    model: TailModel, width: int, height: int, now: float, *, elapsed: float, banner: Sequence[Text] = ()
) -> RenderableType:
    """Lay out a screen of ``width`` by ``height``: header, banner, as many of the newest lines as fit, the keys."""
    is_low = height < FULL_HEAD_FROM_HEIGHT
    head = header(model, width, now, elapsed)[: 1 if is_low else None]
    if not is_low and (elapsed < BANNER_SECONDS or model.shows_help):
        head += [part for line in banner for part in _fold(line, width)]
    if model.shows_help:
        head += [_cut(Text(line, style="dim"), width) for line in HELP]
    if not is_low:
        head.append(Text())
    room = max(1, height - len(head) - 2)
    table = events(model, width, room)
    used = len(head) + min(room, max(1, len(model.shown))) + 2
    return Group(*head, table, *([Text()] * (height - used)), footer(model, width))


def footer(model: TailModel, width: int) -> Text:
    """Return the keys, and whether the table is paused."""
    text = Text("paused: " if model.paused is not None else "", style="bold yellow")
    return _cut(text.append(KEYS, style="dim"), width)


def header(model: TailModel, width: int, now: float, elapsed: float) -> list[Text]:
    """Return where the events come from, the connection's state, rates and totals."""
    state, style = STATES[model.state]
    first = Text("SWIM ", style="bold").append(state, style=style)
    if model.state == "away":
        first.append(f"{model.reason}; {_next_attempt(model, now)}", style=style)
    is_away = model.state in ("lost", "away")
    first.append(f"  {model.title}", style="dim" if is_away else "")
    if model.state == "lost" and model.reason:
        first.append(f"  {model.reason}", style="dim")
    if model.wanted:
        first.append(f"  {model.wanted}", style="dim")
    per_second, positions = model.rates(now)
    flow = [f"{plural(model.events, 'event')} in {duration(elapsed)}, {rate(per_second)}"]
    if model.positions or not model.wanted:
        flow.append(f"{plural(model.positions, 'position')}, {rate(positions)}")
    if model.clients is not None:
        flow.append(plural(model.clients, "remote client"))
    return [_cut(first, width), _cut(Text("  ".join(flow)), width), _cut(_totals(model), width)]


def _next_attempt(model: TailModel, now: float) -> str:
    left = 0.0 if model.retry_at is None else model.retry_at - now
    return f"trying again in {left:.0f} s" if left >= 1.5 else "trying again"


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
        if model.wanted and not number:
            continue
        text.append(count(number), style=f"bold {style}" if number else "dim").append(f" {label}  ", style="dim")
    others = model.events - model.family("flight.") - model.family("tmi.")
    if others:
        text.append(count(others), style="bold").append(" other", style="dim")
    text.rstrip()
    return text


def events(model: TailModel, width: int, room: int) -> Group:
    """Return the newest ``room`` lines, oldest first, in the columns that the width has room for."""
    rows = list(model.shown)[-room:]
    columns = _columns(width, max((len(row.text) for row in rows if not isinstance(row, Note)), default=0))
    lines = [_row([(heading, "bold") for heading in HEADINGS], columns)]
    for row in rows:
        if isinstance(row, Note):
            lines.append(_cut(Text(row.text, style=row.style), width))
        else:
            lines.append(_happening(row, columns))
    if not rows:
        lines.append(_cut(Text("waiting for the first event …", style="dim"), width))
    return Group(*lines)


def _columns(width: int, text_width: int) -> list[int]:
    """Return the column widths: the description gets what is left, up to what it needs, with the id beside it; on a
    wide terminal the other columns grow too.
    """
    fixed = [CLOCK_WIDTH, TYPE_WIDTH, CALLSIGN_WIDTH, ROUTE_WIDTH]
    id_width = ID_WIDTH if width >= ID_FROM_WIDTH else 0
    rest = width - sum(fixed) - len(fixed) - (id_width + 1 if id_width else 0)
    if rest < LEAST_TEXT_WIDTH and width < 60:
        fixed[3] = 0  # what happened matters more than where
        rest = width - sum(fixed) - 3
    text = rest if not id_width else min(rest, max(text_width, len(HEADINGS[4])))
    return [*fixed, max(0, text), id_width]


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
    """Break a line that is to be typed elsewhere so that a shell reads its parts as one."""
    plain, parts = line.plain, []
    while len(plain) > width:
        parts.append(plain[: width - 1] + "\\")
        plain = plain[width - 1 :]
    return [Text(part, style=line.style, no_wrap=True) for part in [*parts, plain]]


def _cut(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis")
    text.no_wrap = True
    return text
