"""The look of help on a terminal: headings bold, names in colour; the main page and every command alike.

Light on imports, without even ``typing`` and ``re``: the main page must appear at once.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

BOLD, CYAN, DIM, RED, RESET = "\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"
_HEADING = r"^\s*(Usage|Options|Arguments|Commands|Examples?):"
_ROW = r"^(  )((?:-\S+, )*\S+)"


class TextStyle:
    """Which styles a stream supports."""

    __slots__ = ("attributes", "colour")

    def __init__(self, attributes: bool, colour: bool) -> None:
        self.attributes = attributes
        """Bold and dim."""
        self.colour = colour

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> TextStyle:
        """Return no style for pipes and ``TERM=dumb``, and no colour if ``NO_COLOR`` is set (https://no-color.org)."""
        attributes = stream.isatty() and environ.get("TERM") != "dumb"
        return cls(attributes, attributes and not environ.get("NO_COLOR"))

    def paint(self, text: str, code: str) -> str:
        """Wrap a text in an escape code, if the stream supports it."""
        return f"{code}{text}{RESET}" if text and (self.colour if code == CYAN else self.attributes) else text


NO_STYLE = TextStyle(attributes=False, colour=False)


def paint_help(text: str) -> str:
    """Style a command's help for standard output."""
    import re

    style = TextStyle.of(sys.stdout, os.environ)
    if not style.attributes:
        return text
    painted: list[str] = []
    section = ""
    for line in text.splitlines():
        heading = re.match(_HEADING, line)
        if heading is not None:
            section = heading[1]
            painted.append(line.replace(f"{section}:", style.paint(f"{section}:", BOLD), 1))
        elif section in ("Options", "Arguments", "Commands"):
            painted.append(re.sub(_ROW, lambda match: match[1] + style.paint(match[2], CYAN), line, count=1))
        else:
            painted.append(line)
    return "\n".join(painted)
