"""``swimctl connections``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import command_group
from swimctl.arguments.node import Node
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.completion.words import connection_ids, key_ids, tiers
from swimctl.errors import NotFound
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swimctl.client.control import ControlClient
    from swimctl.client.nodes import FromNodes

LOCAL_TIER = "local"
"""The tier shown for connections of the control socket."""

app = command_group("List or close client connections.")


@app.command("list")
def list_connections(
    context: typer.Context,
    *,
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="T", autocompletion=tiers, help="Only connections of this tier.")
    ] = None,
    key: Annotated[
        int | None, typer.Option("--key", metavar="ID", autocompletion=key_ids, help="Only connections of this key.")
    ] = None,
    node: Node = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document: a list.")] = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """List the live connections.

    Shows id, tier, key, remote address, time of connection, subscriptions, messages sent and bytes waiting. Connections
    of swimctl on this machine have the tier local; the one that asks for the list is not shown. With several nodes the
    connections of all are listed, each with its node.

    \b
    Examples:
      swimctl connections list
      swimctl connections list --tier partner
      swimctl connections list --key 7 --json
      swimctl connections list --node swim-2
    """
    from swim_server.daemon.control.documents.connections import Connections

    from swimctl.client.answers import read_answer
    from swimctl.commands.keys.options import parse_tier
    from swimctl.render.connections import columns, rows, unsubscribed_hint
    from swimctl.render.status import utc_now

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    if tier is not None and tier != LOCAL_TIER:
        tier = parse_tier(tier).value
    with invocation.connect() as control:
        own = control.greet()["data"]["client_id"]
        found_on = _ask(control, node, {"tier": tier, "key_id": key})
    found_on.tell(invocation.messages())
    answer = {"connections": [one for one in _all(found_on) if one["id"] != own]}
    found = read_answer("connections", answer, Connections).connections
    if as_json:
        output.document(answer["connections"])
    else:
        now = utc_now()
        shown = columns(found, is_terminal=output.is_terminal)
        output.table(shown, rows(found, now), empty="no clients are connected")
        hint = unsubscribed_hint(found, now)
        if hint is not None:
            invocation.messages().line(f"hint: {hint}")


def _ask(control: ControlClient, node: str | None, params: dict[str, Any]) -> FromNodes:
    from swimctl.client.nodes import FromNodes, call_on, call_on_all

    if node is None:
        return call_on_all(control, "connections", params)
    return FromNodes({node: call_on(control, node, "connections", params)}, {}, [], "")


def _all(found: FromNodes) -> list[dict[str, Any]]:
    """Return the connections of all nodes, each with its node if it has a name."""
    return [
        {**one, "node": node} if node else one
        for node, answer in found.answers.items()
        for one in answer["connections"]
    ]


@app.command("close")
def close_connection(
    context: typer.Context,
    *,
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID", autocompletion=connection_ids, help="Connection id, as `connections list` shows it."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Close one connection.

    The client is asked to reconnect (1012) and resumes where it was. To keep it out, expire or revoke its key.

    \b
    Examples:
      swimctl connections close client_0123456789abcdef
      swimctl connections close client_0123456789abcdef --yes
    """
    from swim_server.daemon.control.documents.connections import Connections
    from swim_server.daemon.control.documents.process import ConnectionClosed

    from swimctl.client.answers import read_answer
    from swimctl.client.nodes import call_on
    from swimctl.output import require_yes

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with invocation.connect() as control:
        rows = _all(_ask(control, None, {}))
        found = read_answer("connections", {"connections": rows}, Connections).connections
        wanted = next((one for one in found if one.id == id), None)
        if wanted is None:
            raise NotFound(f"there is no connection {id!r}", "list them with: swimctl connections list")
        who = " ".join(part for part in (wanted.tier, wanted.owner, wanted.remote) if part)
        require_yes(f"Close {id} ({who})?", yes=yes)
        answer = call_on(control, wanted.node, "connection_close", {"id": id})
        if not read_answer("connection_close", answer, ConnectionClosed).closed:
            raise NotFound(f"the connection {id!r} had already ended")
    if as_json:
        output.document({"closed": id})
    else:
        output.line(f"closed {id}")
