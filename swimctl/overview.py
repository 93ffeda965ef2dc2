"""The help of the top level, pure and without heavy imports: it must be on the screen at once."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from swimctl.command_table import GLOBAL_OPTIONS, SECTIONS

SUMMARY = "SWIM: live flight and traffic management events from VATSIM, streamed as they happen."
EXAMPLES = (
    ("swimctl demo", "the whole thing in a minute"),
    ("swimctl serve --detach --source simulator", "a service with invented traffic"),
    ("swimctl keys create --tier developer --owner me", "a key for a client"),
    ("swimctl tail flight.departed --airport KJFK", "departures from or to New York"),
)
_BOLD, _CYAN, _DIM, _RESET = "\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m"


def overview(width: int = 80, *, colour: bool = False) -> str:
    """Lay out usage, commands by section, options and examples in ``width`` columns."""
    width = max(50, min(width, 110))
    lines = [_paint("Usage:", _BOLD, colour) + " swimctl [OPTIONS] COMMAND [ARGS]...", ""]
    lines += textwrap.wrap(SUMMARY, width)
    for title, entries in SECTIONS:
        lines += ["", _paint(title, _BOLD, colour)]
        lines += _rows([(entry.name, entry.summary) for entry in entries], 12, width, colour)
    lines += ["", _paint("Options", _BOLD, colour), *_rows(GLOBAL_OPTIONS, 22, width, colour)]
    lines += ["", _paint("Examples", _BOLD, colour)]
    for typed, meaning in EXAMPLES:
        comment = f"  # {meaning}" if width >= 100 else ""
        lines.append(f"  {typed:<48}{_paint(comment, _DIM, colour)}".rstrip())
    return "\n".join(lines) + "\n"


def _rows(pairs: Sequence[tuple[str, str]], column: int, width: int, colour: bool) -> list[str]:
    lines = []
    for name, text in pairs:
        first, *rest = textwrap.wrap(text, max(20, width - column - 4)) or [""]
        lines.append(f"  {_paint(f'{name:<{column}}', _CYAN, colour)}  {first}")
        lines += [" " * (column + 4) + line for line in rest]
    return lines


def _paint(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour and text else text
