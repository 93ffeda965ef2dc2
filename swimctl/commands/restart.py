"""``swimctl restart``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.errors import CommandFailed
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.process import Restarted, Version
    from swim_server.daemon.program import Program

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
    import msgspec
    from swim_server.daemon.control.documents.process import Restarted, Version
    from swim_server.daemon.environment import digests
    from swim_server.daemon.program import Program

    from swimctl.client.answers import read_answer

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    wanted = Program.of_this_process()
    params = {"program": msgspec.to_builtins(wanted), "environment": digests(invocation.environ)}
    with invocation.connect() as control:
        before = control.info
        was = read_answer("version", control.call("version"), Version)
        answer: dict[str, Any] = control.call("restart", params, timeout=START_SECONDS)
    after = read_answer("restart", answer, Restarted)
    with invocation.connect() as control:  # seen from outside: this socket, this process, this program
        _prove(read_answer("version", control.call("version"), Version), after, wanted)
    messages = invocation.messages()
    for name, value in after.environment.items():
        running = "is not set" if value is None else f"is {value}"
        messages.line(f"{name} {running} in the daemon, otherwise here: it keeps its own environment over a restart")
    if was.roots.get("swimctl", wanted.root) != wanted.root:
        messages.line(f"it runs {wanted}; before: version {was.version}, from {was.roots['swimctl']}")
    if after.has_left_terminal:
        messages.line("it has left its terminal and goes on in the background")
    if as_json:
        output.document(answer)
        return
    moved = f"pid {before.pid} → {after.pid}" if before is not None else f"pid {after.pid}"
    output.line(f"restarted ({moved}), fingerprint {after.fingerprint}")


def _prove(found: Version, after: Restarted, wanted: Program) -> None:
    """Hold the process that answers now against what was promised. Raises CommandFailed."""
    if found.pid != after.pid:
        raise CommandFailed(f"pid {after.pid} was to take over, and pid {found.pid} answers", "look: swimctl doctor")
    if found.fingerprint != wanted.fingerprint:
        running = f"version {found.version}, fingerprint {found.fingerprint}, from {found.roots.get('swimctl')}"
        problem = f"restarted, and it runs another program ({running}) than this command is ({wanted})"
        raise CommandFailed(problem, "its code was older than this command's and starts its own: swimctl restart again")
