"""Lines at the bottom of a screen, below a picture of any height."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment, Segments
from rich.text import Text


class Foot:
    """A picture, and lines that stay at the bottom of the screen whatever the picture's height."""

    def __init__(self, body: RenderableType, lines: Sequence[Text]) -> None:
        self._body = body
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        height = options.height or console.height
        room = max(1, height - len(self._lines))
        drawn = console.render_lines(self._body, options.update(height=None), pad=False)[:room]
        drawn += [[] for _ in range(room - len(drawn))]
        for line in drawn:
            yield Segments([*line, Segment.line()])
        for number, text in enumerate(self._lines):
            yield Text.assemble(text, end="" if number == len(self._lines) - 1 else "\n", no_wrap=True)
