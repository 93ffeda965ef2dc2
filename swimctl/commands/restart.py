"""``swimctl restart``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.invocation import invocation_of

app = single_command()

START_SECONDS = 60.0


@app.command()
def restart(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Start the code on disk in the place of the daemon that runs.

    The new process gets the listening socket and the lock from the old one: no moment without a listener, no event
    lost. Clients are asked to move one after the other. One that fails to start leaves the old one serving: exit 1.

    \b
    Examples:
      swimctl restart
      swimctl restart && swimctl status
    """
    from swim_server.daemon.control.documents.process import Restarted

    from swimctl.client.answers import read_answer

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with invocation.connect() as control:
        before = control.info
        answer: dict[str, Any] = control.call("restart", timeout=START_SECONDS)
    if as_json:
        output.document(answer)
        return
    after = read_answer("restart", answer, Restarted)
    moved = f"pid {before.pid} → {after.pid}" if before is not None else f"pid {after.pid}"
    output.line(f"restarted ({moved}), fingerprint {after.fingerprint}")
