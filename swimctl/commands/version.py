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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show version, commit, Python, and the fingerprint of the code on disk.

    The daemon shows its own in swimctl status: when the two differ, it runs other code than the disk holds.

    \b
    Examples:
      swimctl version
      swimctl version --json
    """
    import platform

    from swim_server import __version__
    from swim_server.daemon.fingerprint import take_fingerprint

    from swimctl.checkout import commit_of_checkout

    found = {
        "version": __version__,
        "commit": commit_of_checkout(),
        "python": platform.python_version(),
        "fingerprint": take_fingerprint().digest,
    }
    invocation_of(context).output(as_json=as_json).details(list(found.items()), found)
