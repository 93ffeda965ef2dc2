"""``swimctl version``."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.invocation import invocation_of

app = single_command()


@app.command()
def version(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show version, commit, Python, and the fingerprint of the code on disk.

    swimctl status shows those of the daemon: if they differ, it is not running the code on disk.

    \b
    Examples:
      swimctl version
      swimctl version --json
    """
    from swim_server.daemon.fingerprint import take_fingerprint

    taken = take_fingerprint()
    found = {
        "version": taken.version,
        "commit": taken.commit,
        "python": taken.python,
        "fingerprint": taken.digest,
    }
    invocation_of(context).output(as_json=as_json).details(list(found.items()), found)
