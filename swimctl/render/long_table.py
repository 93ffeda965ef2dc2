"""A table of thousands of rows as lines for a terminal: looks like ``table``, in a tenth of its time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.color import ColorSystem
from rich.style import Style

from swimctl.text import clean

if TYPE_CHECKING:
    from swimctl.output import Column

MANY_ROWS = 200
"""From here on the difference is felt."""
_GAP = 2


def lines(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int, colour: bool) -> Iterator[str]:
    """Lay out rows under headings, in a terminal's width; what is too long is cut with an ellipsis."""
    headings = [column.heading.upper() for column in columns]
    cells = [[clean(column.show(row.get(column.name))) for column in columns] for row in rows]
    widths = _fitted(columns, [max(map(cell_len, texts)) for texts in zip(headings, *cells, strict=True)], width)
    places = list(zip(columns, widths, strict=True))
    last = len(columns) - 1

    def line(texts: Sequence[str], styles: Sequence[str]) -> str:
        parts = [
            _styled(_placed(text, cells_wide, column.justify), style, colour) + ("" if place == last else " " * _GAP)
            for place, (text, style, (column, cells_wide)) in enumerate(zip(texts, styles, places, strict=True))
        ]
        return "".join(parts).rstrip()

    yield line(headings, ["bold"] * len(columns))
    for texts in cells:
        yield line(texts, [_style(column, text) for column, text in zip(columns, texts, strict=True)])


def _fitted(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Take from the widest flexible columns first, then from the widest of all, until they fit."""
    fitted = list(widths)
    room = max(len(fitted), width - _GAP * (len(fitted) - 1))
    for candidates in ([place for place, column in enumerate(columns) if column.is_flexible], range(len(fitted))):
        while sum(fitted) > room and any(fitted[place] > 1 for place in candidates):
            fitted[max(candidates, key=fitted.__getitem__)] -= 1
    return fitted


def _placed(text: str, width: int, justify: str) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - length)
    return padding + text if justify == "right" else text + padding


def _style(column: Column, text: str) -> str:
    return (column.styles or {}).get(text) or column.style or ""


def _styled(text: str, style: str, colour: bool) -> str:
    """Return the escape codes of a style around a text; Rich keeps what it has parsed and made."""
    if not style or not colour:
        return text
    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)
