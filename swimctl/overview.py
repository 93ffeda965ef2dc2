"""The top-level help, pure and without heavy imports: it must appear at once."""

from __future__ import annotations

from swimctl.command_table import GLOBAL_OPTIONS, SECTIONS
from swimctl.help_style import BOLD, CYAN, DIM, TextStyle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "SWIM: live flight and traffic management events from VATSIM, streamed as they happen."
EXAMPLES = (
    ("swimctl demo", "everything in one minute"),
    ("swimctl serve --detach --source simulator", "a service with simulated traffic"),
    ("swimctl keys create --tier developer --owner me", "a key for a client"),
    ("swimctl tail flight.departed --airport KJFK", "departures from or to New York"),
)
PLAIN = TextStyle(attributes=False, colour=False)


def overview(width: int = 80, *, style: TextStyle = PLAIN) -> str:
    """Lay out usage, commands by section, options and examples in ``width`` columns."""
    width = max(50, min(width, 110))
    lines = [style.paint("Usage:", BOLD) + " swimctl [OPTIONS] COMMAND [ARGS]...", ""]
    lines += _wrapped(SUMMARY, width)
    for title, entries in SECTIONS:
        lines += ["", style.paint(f"{title}:", BOLD)]
        lines += _rows([(entry.name, entry.summary) for entry in entries], 12, width, style)
    lines += ["", style.paint("Options:", BOLD), *_rows(GLOBAL_OPTIONS, 22, width, style)]
    lines += ["", style.paint("Examples:", BOLD)]
    for typed, meaning in EXAMPLES:
        comment = f"  # {meaning}" if width >= 100 else ""
        lines.append(f"  {typed:<48}{style.paint(comment, DIM)}".rstrip())
    return "\n".join(lines) + "\n"


def _rows(pairs: Sequence[tuple[str, str]], column: int, width: int, style: TextStyle) -> list[str]:
    lines = []
    for name, text in pairs:
        first, *rest = _wrapped(text, max(20, width - column - 4))
        lines.append(f"  {style.paint(f'{name:<{column}}', CYAN)}  {first}")
        lines += [" " * (column + 4) + line for line in rest]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """Wrap a text at words; ``textwrap`` would import ``re``."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines
