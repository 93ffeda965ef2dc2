"""``swimctl top``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.arguments.node import Node
from swimctl.errors import CommandError
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.connections import Top

    from swimctl.output import Output

app = single_command()

ANSWER_SECONDS = 10.0
AWAY_SECONDS = 0.5
"""How often to try to reach a daemon that is away."""


@app.command()
def top(
    context: typer.Context,
    *,
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, max=100, help="Number of rows in each list.")] = 10,
    number: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Stop after N samples, one per second.")
    ] = None,
    node: Node = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, one per sample.")] = False,
) -> None:
    """Watch rates, tiers, the busiest connections, channels and types, latency and slow consumers.

    On a terminal the display is updated every second; piped, there is one line per second. Continues across restarts of
    the daemon. Latency is the time from an event's id to its last write to a client. With several nodes: the clients of
    all, and this node's events, memory and latency.

    \b
    Examples:
      swimctl top
      swimctl top --rows 30
      swimctl top --count 60 > minute.tsv
      swimctl top --json --count 1 | jq '.busiest[0]'
    """
    from swimctl.live.ending import ending_signals

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with ending_signals():
        if output.can_redraw and not as_json:
            _draw(invocation, output, node, rows, number)
        else:
            _write(invocation, output, node, rows, number)


def _ask(invocation: Invocation, node: str | None, rows: int) -> dict[str, Any]:
    from swimctl.client.nodes import call_on, call_on_all, merge_top

    with invocation.connect() as control:
        if node is None:
            return merge_top(call_on_all(control, "top", {"count": rows}, seconds=ANSWER_SECONDS), rows)
        document: dict[str, Any] = call_on(control, node, "top", {"count": rows}, seconds=ANSWER_SECONDS)
    return document


def _read(document: dict[str, Any]) -> Top:
    """Decode the fields that are shown; ``--json`` passes on the whole answer."""
    from swim_server.daemon.control.documents.connections import Top

    from swimctl.client.answers import read_answer

    return read_answer("top", document, Top)


def _write(invocation: Invocation, output: Output, node: str | None, rows: int, number: int | None) -> None:
    """Print line after line; messages about an unavailable daemon go to standard error."""
    import time

    from swimctl.render.top import HEADINGS, line

    document: dict[str, Any] | None = _ask(invocation, node, rows)  # at the start, its absence is an error
    if output.is_terminal and not output.as_json:
        output.line("\t".join(HEADINGS))
    left = number
    while True:
        if document is not None:
            if output.as_json:
                output.json_line(document)
            else:
                output.line(line(_read(document), time.time()))
            left = left - 1 if left is not None else None
        if left == 0:
            return
        try:
            document = _ask(invocation, node, rows)
        except CommandError as error:
            if document is not None:
                invocation.messages().line(f"— {error.problem}; waiting for it —")
            document = None
            time.sleep(AWAY_SECONDS)


def _draw(invocation: Invocation, output: Output, node: str | None, rows: int, number: int | None) -> None:
    import time

    from swimctl.live.screen import Screen, wants_to_quit
    from swimctl.render.top import HELP_KEYS, screen_picture

    console = output.console()
    document, away, left, shows_help = _read(_ask(invocation, node, rows)), None, number, False
    with Screen(console) as screen:
        while True:
            screen.draw(
                screen_picture(document, time.time(), console.width, console.height, away=away, shows_help=shows_help)
            )
            left = left - 1 if left is not None and away is None else left
            if left == 0:
                break
            try:
                document, away = _read(_ask(invocation, node, rows)), None
                pressed = screen.keys()
            except CommandError as error:
                away = error.problem
                pressed = screen.keys(AWAY_SECONDS)
            if wants_to_quit(pressed):
                break
            shows_help ^= bool(HELP_KEYS.intersection(pressed))
    from swimctl.render.top import picture

    console.print(picture(document, time.time(), console.width, console.height - 1, away=away))
