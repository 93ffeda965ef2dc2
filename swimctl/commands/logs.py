"""``swimctl logs``."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from swimctl.app import single_command
from swimctl.errors import NotFound
from swimctl.invocation import Invocation, invocation_of
from swimctl.output import Output

app = single_command()

LOOK_SECONDS = 0.2
CHUNK_BYTES = 65_536


@app.command()
def logs(
    context: typer.Context,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="Number of lines to show.")] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print JSON lines: the log entry, or its text as {"line": …}.')
    ] = False,
) -> None:
    """Show the daemon's log.

    Reads the log of a daemon started with --detach, or the file named by [logging] file. A daemon in the foreground
    writes to its terminal.

    \b
    Examples:
      swimctl logs
      swimctl logs -f
      swimctl logs -n 1000 | grep refused
    """
    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    path = log_path(invocation)
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise NotFound(
            f"there is no log at {path}",
            "without --detach a daemon writes to its terminal; under systemd, see: journalctl -u swim",
        ) from None
    with file:
        newest = deque(file, maxlen=lines)
        for line in [*rotated_lines(path, lines - len(newest)), *newest]:
            _write(output, line)
        output.stream.flush()
        if follow:
            parts = Lines(whole=as_json)
            for chunk in follow_file(path, file):
                if not chunk:
                    output.check_reader()
                for line in parts.of(chunk):
                    _write(output, line)
                output.stream.flush()


def _write(output: Output, line: bytes) -> None:
    text = line.decode(errors="replace")
    output.stream.write(f"{json_entry(text)}\n" if output.as_json else text)


def json_entry(text: str) -> str:
    """Return a log line as a JSON object: itself if it is one, otherwise ``{"line": …}``."""
    import json

    stripped = text.rstrip("\r\n")
    try:
        is_entry = isinstance(json.loads(stripped), dict)
    except ValueError:
        is_entry = False
    return stripped if is_entry else json.dumps({"line": stripped}, ensure_ascii=False)


class Lines:
    """Splits what is appended to a file into complete lines; for people, partial lines are passed on at once."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._rest = b""

    def of(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes."""
        if not self._whole:
            return [chunk]
        *found, self._rest = (self._rest + chunk).split(b"\n")
        return found


def rotated_lines(path: Path, wanted: int) -> list[bytes]:
    """Return up to the wanted number of last lines from the rotated files, oldest first."""
    found: list[bytes] = []
    number = 1
    while len(found) < wanted:
        try:
            with path.with_name(f"{path.name}.{number}").open("rb") as older:
                found[:0] = deque(older, maxlen=wanted - len(found))
        except OSError:
            break
        number += 1
    return found


def log_path(invocation: Invocation) -> Path:
    """Return the path of the log that the daemon of this home writes."""
    configured = invocation.load_config().config.logging.file
    return Path(configured) if configured else invocation.home.log


def follow_file(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield what is appended, forever, with empty values in between; follow the log when it is rotated."""
    while True:
        chunk = file.read(CHUNK_BYTES)
        if chunk:
            yield chunk
            continue
        try:
            found = path.stat()
        except FileNotFoundError:
            found = None  # between the two halves of a rotation
        if found is not None and found.st_ino != os.fstat(file.fileno()).st_ino:
            yield file.read()
            with path.open("rb") as newer:
                yield from follow_file(path, newer)
        if found is not None and found.st_size < file.tell():
            file.seek(0)
        yield b""
        time.sleep(LOOK_SECONDS)
