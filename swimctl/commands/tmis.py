"""``swimctl tmis``."""

from __future__ import annotations

from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments import subscriptions as options
from swimctl.arguments.output import Header, Json
from swimctl.invocation import invocation_of

app = single_command()


@app.command()
def tmis(
    context: typer.Context,
    *,
    airport: Annotated[
        list[str] | None, typer.Option("--airport", metavar="ICAO", help="Initiatives at this airport.")
    ] = None,
    as_json: Json = False,
    header: Header = False,
    url: options.Url = None,
) -> None:
    """List the traffic management initiatives in force.

    \b
    Examples:
      swimctl tmis
      swimctl tmis --airport KJFK --json
    """
    from swimctl.client.state import StateReader
    from swimctl.render.state import PLAIN_TMIS, TMIS

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version="v2")
    filters = options.read_filters(airport, None, None, None, None)
    with StateReader(options.opener(invocation, invocation.remote(url)), ["tmi.*"], filters) as reader:
        state = reader.ask()
    found = state.entries.get("tmis", [])
    if as_json:
        output.document({"as_of": state.as_of, "count": len(found), "tmis": found})
        return
    ordered = sorted(found, key=lambda entry: (str(entry.get("airport")), str(entry.get("program_id"))))
    output.table(TMIS if output.is_terminal else PLAIN_TMIS, ordered, empty="no initiatives match")
