"""``swimctl reload``."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.invocation import invocation_of

app = single_command()


@app.command()
def reload(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make the daemon read its configuration again, without dropping anyone.

    Tiers, limits, log level and sources change at once; what needs a restart is named. An invalid configuration
    changes nothing and exits with 2.

    \b
    Examples:
      swimctl reload
      swimctl config set tiers.public.connections 10 && swimctl reload
    """
    from swim_server.daemon.control.documents.process import Reloaded

    from swimctl.client.answers import read_answer
    from swimctl.client.session import RpcFailed
    from swimctl.errors import WrongUsage

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with invocation.connect() as control:
        try:
            answer = control.call("reload", timeout=30.0)
        except RpcFailed as failed:
            if failed.code == INVALID_CONFIGURATION:
                raise WrongUsage(failed.problem, "nothing was changed; put it right and reload again") from None
            raise
    if as_json:
        output.document(answer)
        return
    found = read_answer("reload", answer, Reloaded)
    output.line(f"changed: {', '.join(found.changed)}" if found.changed else "nothing changed")
    if found.needs_restart:
        output.line(f"needs swimctl restart: {', '.join(found.needs_restart)}")


INVALID_CONFIGURATION = -32602
"""The daemon's answer when what it read can't be used: the parameters of the request are the files."""
