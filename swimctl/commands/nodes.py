"""``swimctl nodes``."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments.node import Node
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.errors import CommandFailed, NotFound
from swimctl.invocation import invocation_of

app = single_command()


@app.command()
def nodes(
    context: typer.Context,
    *,
    node: Node = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """List the nodes that share one Redis server.

    Shows each node's version, connections, lag behind the stream, clock and the sources that it runs. Any node can be
    asked. A node that has not reported for 3 s is shown as silent; after 10 s it is gone, and its connection slots and
    sources are free again.

    \b
    Examples:
      swimctl nodes
      swimctl nodes --node swim-2
      swimctl nodes --json
    """
    from swim_server.daemon.control.documents.nodes import Nodes

    from swimctl.client.answers import read_answer
    from swimctl.render.nodes import COLUMNS, PLAIN, rows, summary

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    with invocation.connect() as control:
        answer = control.call("nodes")
    if node is not None:
        answer["nodes"] = [one for one in answer["nodes"] if one["name"] == node]
    found = read_answer("nodes", answer, Nodes)
    if node is not None and not found.nodes and found.problem is None:
        raise NotFound(f"there is no node {node!r}", "list them with: swimctl nodes")
    if as_json:
        output.document(answer)
    elif not found.is_shared:
        output.line("this process is the only node: [broker] url is local")
    else:
        if found.problem is not None:
            raise CommandFailed(f"the other nodes can't be asked for: {found.problem}", "see: swimctl doctor")
        output.table(COLUMNS if output.is_terminal else PLAIN, rows(found.nodes), empty="no node has reported")
        if output.is_terminal:
            for line in summary(found):
                output.line(line)
