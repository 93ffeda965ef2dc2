"""The two writers of the command line, a table and labelled values; both can write for people, pipes and JSON.

On a terminal: aligned and coloured. Piped: one row per line, cells separated by tabs, no heading, ``-`` for nothing.
With ``--json``: one document, nothing else.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TextIO

from swimctl import table as layouts
from swimctl.help_style import NO_STYLE, TextStyle
from swimctl.standard_streams import JSON_ERRORS, set_errors
from swimctl.table import Column, Row
from swimctl.text import cell, clean, to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PLAIN_WIDTH = 80


def is_unread(stream: IO[Any]) -> bool:
    """Return True if a stream is a pipe whose reader has gone, according to the kernel (never on Windows)."""
    if not hasattr(select, "poll"):
        return False
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # only errors
        return any(happened & (select.POLLERR | select.POLLNVAL) for _, happened in poll.poll(0))
    except (OSError, ValueError):  # no file behind it
        return False


class Output:
    """An output stream, and how to write to it."""

    def __init__(
        self,
        stream: TextIO,
        *,
        as_json: bool = False,
        is_terminal: bool = False,
        style: TextStyle = NO_STYLE,
        width: int = PLAIN_WIDTH,
    ) -> None:
        self.stream = stream
        self.as_json = as_json
        self.is_terminal = is_terminal
        self.can_redraw = is_terminal and style.attributes  # a dumb terminal has none
        """Whether the terminal can redraw a picture in place."""
        self.style = style
        self.width = width
        self.has_header = False
        """Piped rows begin with a line of column names."""
        self.is_first_version = False
        """Piped values are formatted as in v1."""

    @classmethod
    def to(cls, stream: TextIO, environ: Mapping[str, str], *, as_json: bool = False) -> Output:
        """Create an output that suits the stream and the environment: ``NO_COLOR`` and ``TERM=dumb`` are honoured."""
        if as_json:
            set_errors(stream, JSON_ERRORS)
        is_terminal = stream.isatty()
        style = TextStyle.of(stream, environ)
        width = _terminal_width(stream) if is_terminal else PLAIN_WIDTH
        return cls(stream, as_json=as_json, is_terminal=is_terminal, style=style, width=width)

    def piped_as(self, *, header: bool, version: str) -> Output:
        """Set the format of piped output: ``v1`` as in earlier releases, ``v2`` for scripts. Returns itself."""
        self.has_header, self.is_first_version = header, version == "v1"
        return self

    def check_reader(self) -> None:
        """Raise BrokenPipeError if the reader of this pipe has gone: for commands that wait long between lines."""
        if is_unread(self.stream):
            raise BrokenPipeError

    def line(self, text: str = "") -> None:
        """Write one line and flush it."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def document(self, value: object) -> None:
        """Write one JSON document: indented on a terminal, on one line when piped."""
        self.line(_json(value, indent=2 if self.is_terminal else None))

    def json_line(self, value: object) -> None:
        """Write one JSON document of a stream: always on one line."""
        self.line(_json(value))

    def table(self, columns: Sequence[Column], rows: Iterable[Row], *, empty: str = "nothing") -> None:
        """Write rows. JSON: a list of all of them. ``empty`` is shown on a terminal if there are none."""
        found = list(rows)
        if self.as_json:
            self.document(found)
        elif not self.is_terminal:
            shows = [(column.name, column.show if self.is_first_version else cell) for column in columns]
            lines = ["\t".join([clean(show(row.get(name))) or "-" for name, show in shows]) + "\n" for row in found]
            header = "\t".join(column.name for column in columns) + "\n" if self.has_header else ""
            self.stream.write(header + "".join(lines))
            self.stream.flush()
        elif not found:
            self.line(empty)
        else:
            shown, hidden = layouts.fitting(columns, found, self.width)
            self._lay_out(shown, found)
            if hidden:
                from rich.text import Text

                self.print(Text(layouts.left_out(hidden), style="dim", no_wrap=True, overflow="ellipsis"))

    def _lay_out(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        if len(rows) < layouts.MANY_ROWS:
            self.print(layouts.table(columns, rows))
        else:
            self.line("\n".join(layouts.lines(columns, rows, width=self.width, style=self.style)))

    def details(self, pairs: Sequence[tuple[str, object]], document: object = None) -> None:
        """Write labels with values. JSON: ``document``, or an object with the labels in snake case.

        Piped: each value of the document with its dotted name.
        """
        found = document if document is not None else {_key(label): value for label, value in pairs}
        if self.as_json:
            self.document(found)
        elif not self.is_terminal:
            rows = pairs if self.is_first_version else flattened(found)
            header = ["name\tvalue"] if self.has_header else []
            self.line("\n".join([*header, *(f"{label}\t{clean(cell(value))}" for label, value in rows)]))
        else:
            self.print(layouts.details(pairs))

    def print(self, renderable: RenderableType) -> None:
        """Write a Rich renderable, or text, in this stream's width and colours."""
        self.console(self.width).print(renderable)

    def console(self, width: int | None = None) -> Console:
        """Return a Rich console on this stream; without a width it follows the terminal's.

        It interprets no markup, so that text from a peer can't style or link anything.
        """
        from rich.console import Console

        return Console(
            file=self.stream,
            force_terminal=self.is_terminal,
            no_color=not self.style.colour,
            color_system="auto" if self.style.attributes else None,
            width=width,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=False,
        )


def _json(value: object, *, indent: int | None = None) -> str:
    """Encode a document; characters that would act on a terminal are escaped, as text may come from a peer."""
    from swim_server.protocol.control_characters import escape_json_text

    return escape_json_text(json.dumps(to_json(value), ensure_ascii=False, indent=indent))


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on a terminal before destroying something; ``yes`` answers in advance. Raises WrongUsage without either."""
    if yes:
        return True
    if not sys.stdin.isatty():
        from swimctl.errors import WrongUsage

        raise WrongUsage(f"{question} Can't ask: standard input is not a terminal", "add --yes to go ahead")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def require_yes(question: str, *, yes: bool) -> None:
    """Ask like ``confirm``. Raises Declined for a no, so that every command ends with the same exit code (1)."""
    from swimctl.errors import Declined

    if not confirm(question, yes=yes):
        raise Declined


def _terminal_width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or PLAIN_WIDTH
    except OSError:
        return PLAIN_WIDTH


def flattened(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values of a document with dotted names; list entries by ``name`` or ``number``, else counted."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flattened(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
        for number, inner in enumerate(value):
            yield from flattened(inner, f"{name}.{inner.get('name', inner.get('number', number))}")
    else:
        yield name, value


def _key(label: str) -> str:
    return label.strip().lower().replace(" ", "_").replace("-", "_")
