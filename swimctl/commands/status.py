"""``swimctl status``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.arguments.node import Node
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.errors import CommandError
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status

    from swimctl.output import Output

app = single_command()

REFRESH_SECONDS = 1.0


@app.command()
def status(
    context: typer.Context,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; with --watch, one per second.")
    ] = False,
    node: Node = None,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until q or Ctrl-C.")] = False,
) -> None:
    """Show the daemon's current activity.

    Process and address, connections by tier with their limits, events and deliveries, sources, history. Exit code 3 if
    it is not running. With several nodes: this one, its share of the connections of all, and which others there are.

    \b
    Examples:
      swimctl status
      swimctl status --watch
      swimctl status --node swim-2
      swimctl status --json | jq .connections
    """
    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    if not watch:
        _write(output, _ask(invocation, node))
    elif output.can_redraw and not as_json:
        _watch(invocation, output, node)
    else:
        _write_on(invocation, output, node)


def _ask(invocation: Invocation, node: str | None) -> dict[str, Any]:
    with invocation.connect(light=True) as control:
        if node is None:
            document: dict[str, Any] = control.call("status")
        else:
            from swimctl.client.nodes import call_on

            document = call_on(control, node, "status")
    return document


def _write_on(invocation: Invocation, output: Output, node: str | None) -> None:
    """Print one document after another; wait for a daemon that is away."""
    document: dict[str, Any] | None = _ask(invocation, node)  # at the start, its absence is an error
    while True:
        if document is not None:
            if output.as_json:
                output.json_line(document)
            else:
                _write(output, document)
        time.sleep(REFRESH_SECONDS)
        try:
            document = _ask(invocation, node)
        except CommandError as error:
            if document is not None:
                invocation.messages().line(f"— {error.problem}; waiting for it —")
            document = None


def _write(output: Output, document: dict[str, Any]) -> None:
    if output.as_json:
        output.document(document)
    elif output.is_terminal:
        output.print(_picture(document))
    else:
        from swimctl.render.status_lines import status_lines

        output.details(status_lines(_read(document)), document)


def _read(document: dict[str, Any]) -> Status:
    """Decode the fields that are shown; ``--json`` passes on the whole answer."""
    from swim_server.daemon.control.documents.status import Status

    from swimctl.client.answers import read_answer

    return read_answer("status", document, Status)


def _picture(document: dict[str, Any]) -> Any:
    from swim_server.daemon.fingerprint import take_fingerprint

    from swimctl.render.status import status as render
    from swimctl.render.status import utc_now

    return render(_read(document), utc_now(), take_fingerprint().digest)


def _watch(invocation: Invocation, output: Output, node: str | None) -> None:
    """Show the status until q or Ctrl-C; wait for a daemon that is away."""
    from rich.text import Text

    from swimctl.live.ending import ending_signals
    from swimctl.live.screen import Screen, wants_to_quit
    from swimctl.render.foot import Foot

    keys = [Text("q quit", style="dim")]
    picture = _picture(_ask(invocation, node))  # at the start, its absence is an error
    with ending_signals(), Screen(output.console()) as screen:
        while True:
            screen.draw(Foot(picture, keys))
            if wants_to_quit(screen.keys(REFRESH_SECONDS)):
                return
            try:
                picture = _picture(_ask(invocation, node))
            except CommandError as error:
                picture = Text(f"{error.problem}; waiting for it", style="yellow")
