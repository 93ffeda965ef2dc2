"""The option that narrows a command to one of several nodes."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.completion.words import node_names

Node = Annotated[
    str | None,
    typer.Option("--node", metavar="NAME", autocompletion=node_names, help="With several nodes: only this one."),
]
