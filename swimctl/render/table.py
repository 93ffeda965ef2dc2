"""The table and the labelled values as renderables, pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from swimctl.text import cell, clean

if TYPE_CHECKING:
    from swimctl.output import Column


def table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay out rows under headings; a column that is too narrow cuts its text with an ellipsis, it never wraps."""
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        grid.add_column(
            column.heading.upper(),
            justify=column.justify,
            style=column.style,
            no_wrap=not column.is_flexible,  # Rich narrows columns that may wrap before the others; cells don't wrap
            overflow="ellipsis",
        )
    for row in rows:
        grid.add_row(*(_cell(column, row.get(column.name)) for column in columns))
    return grid


def _cell(column: Column, value: Any) -> Text:
    text = clean(column.show(value))
    return Text(text, style=(column.styles or {}).get(text, ""), no_wrap=True, overflow="ellipsis")


def details(pairs: Sequence[tuple[str, Any]]) -> Table:
    """Lay out labels with their values; long values wrap."""
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, show_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in pairs:
        grid.add_row(label, value if isinstance(value, Text) else Text(cell(value)))
    return grid
