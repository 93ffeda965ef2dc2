"""The two writers of the command line: a table, and labels with values. Both know people, pipes and JSON.

On a terminal: aligned and coloured. Piped: one row a line, cells separated by a tab, no heading, ``-`` for nothing.
With ``--json``: one document, nothing else.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, TextIO

from swimctl.text import cell, clean, to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PLAIN_WIDTH = 80


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
    """It gives way first when the terminal is too narrow for all."""
    min_width: int = 0
    """Terminals narrower than this leave the column out; pipes and JSON always have it."""
    styles: Mapping[str, str] | None = None
    """Styles by the cell's text, for words that should be seen: ``{"revoked": "red"}``."""


def is_unread(stream: IO[Any]) -> bool:
    """Whether a stream is a pipe that nobody reads any more. Asks the kernel; nothing is written."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # errors alone
        return any(happened & (select.POLLERR | select.POLLNVAL) for _, happened in poll.poll(0))
    except (OSError, ValueError):  # no file behind it
        return False


class Output:
    """One stream, and how to write to it."""

    def __init__(
        self,
        stream: TextIO,
        *,
        as_json: bool = False,
        is_terminal: bool = False,
        is_dumb: bool = False,
        colour: bool = False,
        width: int = PLAIN_WIDTH,
    ) -> None:
        self.stream = stream
        self.as_json = as_json
        self.is_terminal = is_terminal
        self.can_redraw = is_terminal and not is_dumb
        """Whether a picture can be drawn over itself."""
        self.colour = colour
        self.width = width

    @classmethod
    def to(cls, stream: TextIO, environ: Mapping[str, str], *, as_json: bool = False) -> Output:
        """Write to a stream as its kind and the environment ask: ``NO_COLOR`` and ``TERM=dumb`` are honoured."""
        is_terminal, is_dumb = stream.isatty(), environ.get("TERM") == "dumb"
        colour = is_terminal and not environ.get("NO_COLOR") and not is_dumb
        width = _terminal_width(stream) if is_terminal else PLAIN_WIDTH
        return cls(stream, as_json=as_json, is_terminal=is_terminal, is_dumb=is_dumb, colour=colour, width=width)

    def check_reader(self) -> None:
        """Raise BrokenPipeError when whoever read this pipe has gone: for commands that wait long between two lines."""
        if is_unread(self.stream):
            raise BrokenPipeError

    def line(self, text: str = "") -> None:
        """Write one line and flush it."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def document(self, value: Any) -> None:
        """Write one JSON document: indented on a terminal, one line when piped."""
        self.line(_json(value, indent=2 if self.is_terminal else None))

    def json_line(self, value: Any) -> None:
        """Write one JSON document of a stream of them: always one line."""
        self.line(_json(value))

    def table(self, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], *, empty: str = "nothing") -> None:
        """Write rows. JSON: a list of them, whole. ``empty`` is told on a terminal when there is none."""
        found = list(rows)
        if self.as_json:
            self.document(found)
        elif not self.is_terminal:
            shows = [(column.name, column.show) for column in columns]
            lines = ["\t".join([clean(show(row.get(name))) or "-" for name, show in shows]) + "\n" for row in found]
            self.stream.write("".join(lines))
            self.stream.flush()
        elif not found:
            self.line(empty)
        else:
            self._lay_out([column for column in columns if column.min_width <= self.width], found)

    def _lay_out(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        from swimctl.render.long_table import MANY_ROWS, lines
        from swimctl.render.table import table

        if len(rows) < MANY_ROWS:
            self.print(table(columns, rows))
        else:
            self.line("\n".join(lines(columns, rows, width=self.width, colour=self.colour)))

    def details(self, pairs: Sequence[tuple[str, Any]], document: Any = None) -> None:
        """Write labels with values. JSON: ``document``, else an object of the labels in snake case."""
        if self.as_json:
            found = document if document is not None else {_key(label): value for label, value in pairs}
            self.document(found)
        elif not self.is_terminal:
            for label, value in pairs:
                self.line(f"{label}\t{clean(cell(value))}")
        else:
            from swimctl.render.table import details

            self.print(details(pairs))

    def print(self, renderable: RenderableType) -> None:
        """Write a Rich renderable, or text, in this stream's width and colours."""
        self.console(self.width).print(renderable)

    def console(self, width: int | None = None) -> Console:
        """Return a Rich console on this stream; without a width it follows the terminal's.

        Interprets no markup, so that no peer's text can style or link anything.
        """
        from rich.console import Console

        return Console(
            file=self.stream,
            force_terminal=self.is_terminal,
            no_color=not self.colour,
            color_system="auto" if self.colour else None,
            width=width,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=False,
        )


def _json(value: Any, *, indent: int | None = None) -> str:
    """Encode a document; what would act on a terminal in it, a peer's text perhaps, is escaped."""
    from swim_server.protocol.control_characters import escape_json_text

    return escape_json_text(json.dumps(to_json(value), ensure_ascii=False, indent=indent))


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on a terminal before something is destroyed; ``yes`` answers beforehand. Raises WrongUsage without either."""
    if yes:
        return True
    if not sys.stdin.isatty():
        from swimctl.errors import WrongUsage

        raise WrongUsage(f"{question} Nobody can be asked here", "add --yes to go ahead")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _terminal_width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or PLAIN_WIDTH
    except OSError:
        return PLAIN_WIDTH


def _key(label: str) -> str:
    return label.strip().lower().replace(" ", "_").replace("-", "_")
