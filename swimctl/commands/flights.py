"""``swimctl flights``."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl import subscription_options as options
from swimctl.app import single_command
from swimctl.invocation import invocation_of
from swimctl.output_options import Header

if TYPE_CHECKING:
    from swimctl.client.state import WorldState
    from swimctl.output import Output

app = single_command()
REFRESH_SECONDS = 2.0


class Format(StrEnum):
    """Output format."""

    TABLE = "table"
    JSON = "json"
    GEOJSON = "geojson"
    CSV = "csv"


@app.command()
def flights(
    context: typer.Context,
    *,
    airport: options.Airports = None,
    artcc: options.Artccs = None,
    callsign: options.Callsigns = None,
    fir: options.Firs = None,
    bbox: options.Bbox = None,
    format: Annotated[
        Format, typer.Option("--format", metavar="table|json|geojson|csv", help="Output format.")
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep the list up to date until Ctrl-C.")] = False,
    header: Header = False,
    url: options.Url = None,
) -> None:
    """List the current flights.

    They are what any client gets that asks for state: the result of all events so far. JSON includes the id of the last
    event taken into account. A flight must match every kind of filter given, and one value of each kind.

    \b
    Examples:
      swimctl flights --airport KJFK
      swimctl flights --artcc ZNY --watch
      swimctl flights --format geojson > flights.geojson
      swimctl flights --json | jq '.flights | length'
    """
    from swimctl.client.state import fetch_state

    invocation = invocation_of(context)
    chosen = Format.JSON if as_json else format
    output = invocation.output(as_json=chosen is Format.JSON).piped_as(header=header, version="v2")
    filters = options.read_filters(airport, artcc, callsign, fir, bbox)
    with options.opener(invocation, invocation.remote(url))() as session:

        def ask() -> WorldState:
            return fetch_state(session, ["flight.*"], filters)

        if not watch:
            _write(output, ask(), chosen)
        elif output.can_redraw and chosen is Format.TABLE:
            _watch(output, ask)
        else:
            _write_on(output, ask, chosen)


def _write(output: Output, state: WorldState, format: Format) -> None:
    from swim_server.gateway.http.rendering import to_csv, to_geojson

    from swimctl.render.state import FLIGHTS, PLAIN_FLIGHTS

    found = state.entries.get("flights", [])
    match format:
        case Format.JSON:
            output.document({"as_of": state.as_of, "count": len(found), "flights": found})
        case Format.GEOJSON:
            output.line(to_geojson(((flight["flight_uid"], flight) for flight in found), state.as_of).decode().rstrip())
        case Format.CSV:
            output.line(to_csv(found, is_flights=True).decode().replace("\r\n", "\n").rstrip("\n"))
        case Format.TABLE:
            ordered = sorted(found, key=lambda flight: str(flight.get("callsign")))
            output.table(FLIGHTS if output.is_terminal else PLAIN_FLIGHTS, ordered, empty="no flights match")


def _write_on(output: Output, ask: Callable[[], WorldState], format: Format) -> None:
    """Write them again and again; of JSON a line each time."""
    import time

    while True:
        state = ask()
        if format is Format.JSON:
            found = state.entries.get("flights", [])
            output.json_line({"as_of": state.as_of, "count": len(found), "flights": found})
        else:
            _write(output, state, format)
        time.sleep(REFRESH_SECONDS)


def _watch(output: Output, ask: Callable[[], WorldState]) -> None:
    from rich.table import Table
    from rich.text import Text

    from swimctl.live.ending import ending_signals
    from swimctl.live.screen import Screen, wants_to_quit
    from swimctl.render.foot import Foot
    from swimctl.render.state import FLIGHTS

    keys = [Text("q quit", style="dim")]
    with ending_signals(), Screen(output.console()) as screen:
        while True:
            state = ask()
            picture = Table(title=f"{len(state.entries.get('flights', ()))} flights as of {state.as_of}", box=None)
            for column in FLIGHTS:
                picture.add_column(column.heading, justify=column.justify, style=column.style)
            for flight in sorted(state.entries.get("flights", ()), key=lambda flight: str(flight.get("callsign"))):
                picture.add_row(*(column.show(flight.get(column.name)) for column in FLIGHTS))
            screen.draw(Foot(picture, keys))
            if wants_to_quit(screen.keys(REFRESH_SECONDS)):
                return
