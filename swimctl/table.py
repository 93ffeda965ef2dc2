"""A table: its columns, and its two layouts for a terminal. Pure; Rich is imported only to lay something out.

``table`` builds a Rich renderable. ``lines`` looks the same in a tenth of the time: for thousands of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from swimctl.help_style import TextStyle
from swimctl.text import cell, clean

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Row = Mapping[str, object]
"""The values of a row, by the names of the columns."""

MANY_ROWS = 200
"""From this many rows on, the faster layout matters."""
_GAP = 2
LEAST_FLEXIBLE = 12
"""A flexible column is worth showing if it has this much room."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """The row's key, and the key in JSON."""
    heading: str
    justify: Literal["left", "right"] = "left"
    style: str | None = None
    """A Rich style for terminals: ``bold``, ``cyan``, ``dim``."""
    show: Callable[[Any], str] = cell
    """The value as text."""
    is_flexible: bool = False
    """It shrinks first if the terminal is too narrow."""
    min_width: int = 0
    """Terminals narrower than this leave the column out; pipes and JSON always have it."""
    is_whole: bool = False
    """It is never cut, as it is to be typed again: an id."""
    rank: int = 0
    """If not all fit, columns of the highest rank are left out first; those of rank 0 stay."""
    styles: Mapping[str, str] | None = None
    """Styles by the cell's text, for words that should be seen: ``{"revoked": "red"}``."""


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> tuple[list[Column], list[Column]]:
    """Divide columns into those that fit into a terminal's width, and those left out."""
    from rich.cells import cell_len

    shown = [column for column in columns if column.min_width <= width]
    sample = rows[:MANY_ROWS]
    needed = {
        column.name: max(
            [cell_len(column.heading)]
            + [
                min(cell_len(clean(column.show(row.get(column.name)))), LEAST_FLEXIBLE if column.is_flexible else width)
                for row in sample
            ]
        )
        for column in shown
    }
    while sum(needed[column.name] + _GAP for column in shown) - _GAP > width:
        spare = max(shown, key=lambda column: column.rank)
        if spare.rank == 0:
            break
        shown.remove(spare)
    return shown, [column for column in columns if column not in shown]


def left_out(columns: Sequence[Column]) -> str:
    """Return the columns that don't fit."""
    return f"… no room for: {', '.join(column.heading.lower() for column in columns)}"


def table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """Lay out rows under headings; text too long for its column is cut with an ellipsis, never wrapped."""
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        grid.add_column(
            column.heading.upper(),
            justify=column.justify,
            style=column.style,
            no_wrap=not column.is_flexible,  # Rich narrows wrapping columns first; cells don't wrap
            overflow="ellipsis",
            min_width=_whole_width(column, rows) if column.is_whole else None,
        )
    for row in rows:
        grid.add_row(*(_cell(column, row.get(column.name)) for column in columns))
    return grid


def _whole_width(column: Column, rows: Sequence[Row]) -> int:
    from rich.cells import cell_len

    return max([cell_len(clean(column.show(row.get(column.name)))) for row in rows] + [cell_len(column.heading)])


def _cell(column: Column, value: object) -> Text:
    from rich.text import Text

    text = clean(column.show(value))
    return Text(text, style=(column.styles or {}).get(text, ""), no_wrap=True, overflow="ellipsis")


def details(pairs: Sequence[tuple[str, object]]) -> Table:
    """Lay out labels with their values; long values wrap."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, show_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in pairs:
        grid.add_row(label, value if isinstance(value, Text) else Text(cell(value)))
    return grid


def lines(columns: Sequence[Column], rows: Sequence[Row], *, width: int, style: TextStyle) -> Iterator[str]:
    """Lay out rows under headings in a terminal's width; text that is too long is cut with an ellipsis."""
    from rich.cells import cell_len

    headings = [column.heading.upper() for column in columns]
    cells = [[clean(column.show(row.get(column.name))) for column in columns] for row in rows]
    widths = _fitted(columns, [max(map(cell_len, texts)) for texts in zip(headings, *cells, strict=True)], width)
    places = list(zip(columns, widths, strict=True))
    last = len(columns) - 1

    def line(texts: Sequence[str], styles: Sequence[str]) -> str:
        parts = [
            _styled(_placed(text, cells_wide, column.justify), wanted, style) + ("" if place == last else " " * _GAP)
            for place, (text, wanted, (column, cells_wide)) in enumerate(zip(texts, styles, places, strict=True))
        ]
        return "".join(parts).rstrip()

    yield line(headings, ["bold"] * len(columns))
    for texts in cells:
        yield line(texts, [_style(column, text) for column, text in zip(columns, texts, strict=True)])


def _fitted(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Shrink the widest flexible columns first, then the widest of all, until they fit."""
    fitted = list(widths)
    room = max(len(fitted), width - _GAP * (len(fitted) - 1))
    for candidates in ([place for place, column in enumerate(columns) if column.is_flexible], range(len(fitted))):
        while sum(fitted) > room and any(fitted[place] > 1 for place in candidates):
            fitted[max(candidates, key=fitted.__getitem__)] -= 1
    return fitted


def _placed(text: str, width: int, justify: str) -> str:
    from rich.cells import cell_len, set_cell_size

    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if justify == "right" else text + padding


def _style(column: Column, text: str) -> str:
    return (column.styles or {}).get(text) or column.style or ""


def _styled(text: str, wanted: str, style: TextStyle) -> str:
    """Wrap a text in the escape codes of a style; Rich caches its parsed styles."""
    if not wanted or not style.attributes:
        return text
    from rich.color import ColorSystem
    from rich.style import Style

    parsed = Style.parse(wanted)
    return (parsed if style.colour else parsed.without_color).render(text, color_system=ColorSystem.STANDARD)
