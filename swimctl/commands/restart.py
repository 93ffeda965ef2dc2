"""``swimctl restart``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.errors import CommandError, CommandFailed
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import NodeDocument
    from swim_server.daemon.handover.program import Program

    from swimctl.output import Output

app = single_command()

START_SECONDS = 60.0
PROOF_SECONDS = 10.0
LOOK_SECONDS = 0.1


@app.command()
def restart(
    context: typer.Context,
    *,
    all_nodes: Annotated[
        bool, typer.Option("--all", help="With several nodes: the others too, one after the other, this one last.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Replace the running daemon with the code on disk.

    The new process takes over the listening socket and the lock, so there is always a listener and no event is lost.
    Clients are asked to reconnect one after the other. If the new process fails to start, the old one keeps serving:
    exit code 1.

    With --all each other node is asked to start the code on its own disk, if its [cluster] remote_restart allows that.
    The next one follows when events come through to it again; at the first that does not come back nothing more is
    restarted.

    \b
    Examples:
      swimctl restart
      swimctl restart && swimctl status
      swimctl restart --all
    """
    import msgspec
    from swim_server.daemon.control.documents.process import Restarted, Version
    from swim_server.daemon.handover.environment import digests
    from swim_server.daemon.handover.program import Program

    from swimctl.client.answers import read_answer

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    restarted = _restart_others(invocation, output) if all_nodes else []
    wanted = Program.of_this_process()
    params = {"program": msgspec.to_builtins(wanted), "environment": digests(invocation.environ)}
    with invocation.connect() as control:
        before = control.info
        was = read_answer("version", control.call("version"), Version)
        answer: dict[str, Any] = control.call("restart", params, timeout=START_SECONDS)
    prove(invocation, answer, answer.get("url"), wanted)
    after = read_answer("restart", answer, Restarted)
    messages = invocation.messages()
    for name, value in after.environment.items():
        running = "is not set" if value is None else f"is {value}"
        messages.line(f"{name} {running} in the daemon but not here: it keeps its own environment over a restart")
    if was.roots.get("swimctl", wanted.root) != wanted.root:
        messages.line(f"it runs {wanted}; before: version {was.version}, from {was.roots['swimctl']}")
    if after.has_left_terminal:
        messages.line("it has left its terminal and continues in the background")
    if as_json:
        output.document({**answer, "nodes": restarted} if all_nodes else answer)
        return
    moved = f"pid {before.pid} → {after.pid}" if before is not None else f"pid {after.pid}"
    output.line(f"restarted ({moved}), fingerprint {after.fingerprint}")


def _restart_others(invocation: Invocation, output: Output) -> list[dict[str, Any]]:
    from swimctl.client.rolling_restart import restart_others

    restarted: list[dict[str, Any]] = []

    def tell(node: NodeDocument, answer: dict[str, Any]) -> None:
        restarted.append({name: answer[name] for name in ("pid", "version", "fingerprint")} | {"name": node.name})
        if not output.as_json:
            output.line(
                f"{node.name}: restarted (pid {node.pid} → {answer['pid']}), fingerprint {answer['fingerprint']}"
            )

    if not restart_others(invocation, tell):
        invocation.messages().line("this process is the only node: [broker] url is local")
    return restarted


def prove(invocation: Invocation, answer: dict[str, Any], url: str | None, program: Program) -> None:
    """Check from outside that the new process serves: it holds the lock, answers, and runs the announced code.

    Raises CommandFailed with what is missing if that does not come true in time.
    """
    deadline = time.monotonic() + PROOF_SECONDS
    while (missing := _missing(invocation, answer, url)) is not None:
        if time.monotonic() >= deadline:
            raise CommandFailed(
                f"pid {answer.get('pid')} was to take over, but {missing}",
                "check: swimctl status; details: swimctl logs",
            )
        time.sleep(LOOK_SECONDS)
    if answer.get("fingerprint") != program.fingerprint:
        running = f"version {answer.get('version')}, fingerprint {answer.get('fingerprint')}"
        raise CommandFailed(
            f"restarted, but it runs another program ({running}) than this command is ({program})",
            "a daemon with older code than this command starts its own: find it with swimctl doctor --only code",
        )


def _missing(invocation: Invocation, answer: dict[str, Any], url: str | None) -> str | None:
    from swim_server.daemon.lockfile import Lockfile

    lockfile = Lockfile(invocation.home.lockfile)
    info = lockfile.read()
    if info is None or not lockfile.is_held():
        return "nobody holds the lock"
    if info.pid != answer.get("pid"):
        return f"pid {info.pid} holds the lock"
    try:
        with invocation.connect() as control:
            status = control.call("status", timeout=LOOK_SECONDS + 2.0)
    except CommandError as error:
        return f"it does not answer: {error.problem}"
    for name, wanted in (("pid", answer.get("pid")), ("fingerprint", answer.get("fingerprint")), ("url", url)):
        if wanted is not None and status.get(name) != wanted:
            return f"its {name} is {status.get(name)} instead of {wanted}"
    return None
