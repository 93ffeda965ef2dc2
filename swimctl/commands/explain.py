"""``swimctl explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.arguments import subscriptions as options
from swimctl.arguments.node import Node
from swimctl.arguments.output import Json
from swimctl.completion.words import channels, connection_ids, key_ids
from swimctl.errors import CommandError, NotFound, WrongUsage
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained

    from swimctl.client.control import ControlClient
    from swimctl.client.session import RpcFailed

app = single_command()

ANSWER_SECONDS = 60.0
"""Counting over a long range of history takes a while."""
NOT_FOUND, INVALID_PARAMS = -32004, -32602
NEXT_STEPS = {
    "event": "show recent events: swimctl tail --last 20 --no-follow",
    "connection": "list them with: swimctl connections list; for one that has ended: --key ID",
    "key": "list them with: swimctl keys list",
}


About = Annotated[
    str,
    typer.Argument(
        metavar="EVENT_ID|TYPE", autocompletion=channels, help="1768573815123-0; or flight.departed, tmi.* …"
    ),
]
KeyId = Annotated[
    int | None, typer.Option("--key", metavar="ID", min=1, autocompletion=key_ids, help="All connections of this key.")
]
Connection = Annotated[
    str | None,
    typer.Option("--connection", metavar="ID", autocompletion=connection_ids, help="One connection, open or closed."),
]
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="C", autocompletion=channels, help="A consumer subscribed to this channel."),
]
Since = Annotated[str, typer.Option("--since", metavar="WHEN", help="With a TYPE: how far to look back.")]


@app.command()
def explain(
    context: typer.Context,
    *,
    about: About,
    key: KeyId = None,
    connection: Connection = None,
    channel: Channels = None,
    airport: options.Airports = None,
    artcc: options.Artccs = None,
    callsign: options.Callsigns = None,
    fir: options.Firs = None,
    bbox: options.Bbox = None,
    since: Since = "1h",
    node: Node = None,
    as_json: Json = False,
) -> None:
    """Explain why a client did or did not get an event.

    With an event's id: whether the client was connected, its key valid and the channel subscribed; which filter
    excluded the event, and the event's own value; whether the client was closed for being too slow, or when the event
    was sent. With a type: which events of the last hour would have been sent, and what excluded the others. With
    several nodes the one answers to which the client was connected.

    \b
    Examples:
      swimctl explain 1768573815123-0 --key 7
      swimctl explain 1768573815123-0 --connection client_0123456789abcdef
      swimctl explain 1768573815123-0 --airport KJFK
      swimctl explain flight.departed --key 7 --since 15m
      swimctl explain "*" --airport KJFK --callsign DAL
    """
    from swimctl.client.session import RpcFailed
    from swimctl.render.explain import lines, picture

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    filters = options.read_filters(airport, artcc, callsign, fir, bbox)
    params = {"about": about, "seconds": read_since(since), **read_consumer(key, connection, channel, filters)}
    with invocation.connect() as control:
        try:
            answer = _ask(control, node, params)
        except RpcFailed as failed:
            raise _refusal(failed) from None
    document = _read(answer)
    if as_json or not output.is_terminal:
        output.piped_as(header=False, version="v1").details(lines(document), answer)
    else:
        output.print(picture(document))


def _ask(control: ControlClient, node: str | None, params: dict[str, Any]) -> dict[str, Any]:
    """Ask the node given, or for a client those that may have had it."""
    from swimctl.client.nodes import best_explained, call_on, call_on_all, first_error

    if node is None and ("key_id" in params or "connection" in params):
        found = call_on_all(control, "explain", params, seconds=ANSWER_SECONDS)
        best = best_explained(found)
        if best is None:
            raise first_error("explain", found.errors)
        return best
    answer: dict[str, Any] = call_on(control, node, "explain", params, seconds=ANSWER_SECONDS)
    return answer


def _read(answer: dict[str, Any]) -> EventExplained | ChannelExplained:
    from swim_server.daemon.control.documents.explain import ChannelExplained, EventExplained

    from swimctl.client.answers import read_answer

    if "subscriptions" in answer:
        return read_answer("explain", answer, ChannelExplained)
    return read_answer("explain", answer, EventExplained)


def read_consumer(
    key: int | None, connection: str | None, channel: list[str] | None, filters: dict[str, Any]
) -> dict[str, Any]:
    """Build the request's parameters for the consumer. Raises WrongUsage unless exactly one consumer is given."""
    channels = [part.strip() for value in channel or [] for part in value.split(",") if part.strip()]
    would = {name: value for name, value in (("channels", channels), ("filters", filters)) if value}
    given = [bool(key), connection is not None, bool(would)]
    if sum(given) != 1:
        problem = "explain needs a consumer" if not any(given) else "explain takes one consumer, several were given"
        raise WrongUsage(
            f"{problem}: --key ID, --connection ID, or channels and filters", "see: swimctl explain --help"
        )
    return {"key_id": key} if key else {"connection": connection} if connection is not None else would


def read_since(since: str) -> float:
    """Parse ``15m``, or a time, to seconds before now. Raises WrongUsage."""
    import time

    from swimctl.arguments.times import read_past_ms

    return max(1.0, time.time() - read_past_ms("--since", since) / 1000)


def _refusal(failed: RpcFailed) -> CommandError:
    what = failed.data.get("what") if isinstance(failed.data, dict) else None
    if failed.code == NOT_FOUND:
        return NotFound(failed.problem, NEXT_STEPS.get(str(what)))
    if failed.code == INVALID_PARAMS:
        return WrongUsage(failed.problem, "an event's id looks like 1768573815123-0, a type like flight.departed")
    return failed
