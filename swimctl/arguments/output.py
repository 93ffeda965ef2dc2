"""Options of commands that print tables or labelled values: how these look when piped."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class PipedFormat(StrEnum):
    """How rows and values are written for scripts."""

    V1 = "v1"
    """As in earlier releases: rounded times, units and thousands separators inside values. The next release drops
    it."""
    V2 = "v2"
    """RFC 3339 times, bare numbers, names as in JSON."""


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Header = Annotated[bool, typer.Option("--header", help="When piped: begin with a line of column names.")]
Piped = Annotated[
    PipedFormat,
    typer.Option("--output", metavar="v1|v2", help="When piped: v1 has the columns of earlier releases."),
]
