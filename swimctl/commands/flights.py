"""``swimctl flights``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments import subscriptions as options
from swimctl.arguments.output import Header
from swimctl.errors import CommandError
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swimctl.client.state import StateReader, WorldState
    from swimctl.invocation import Invocation
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
    watch: Annotated[bool, typer.Option("--watch", help="Keep the list up to date until q or Ctrl-C.")] = False,
    header: Header = False,
    url: options.Url = None,
) -> None:
    """List the current flights.

    This is the state that any client can request: the result of all events so far. JSON includes the id of the last
    event taken into account. A flight must match every kind of filter given, and one value of each kind. With --watch,
    the list is updated every two seconds, also across restarts of the daemon.

    \b
    Examples:
      swimctl flights --airport KJFK
      swimctl flights --artcc ZNY --watch
      swimctl flights --format geojson > flights.geojson
      swimctl flights --json | jq '.flights | length'
    """
    from swimctl.client.state import StateReader

    invocation = invocation_of(context)
    chosen = Format.JSON if as_json else format
    output = invocation.output(as_json=chosen is Format.JSON).piped_as(header=header, version="v2")
    filters = options.read_filters(airport, artcc, callsign, fir, bbox)
    with StateReader(options.opener(invocation, invocation.remote(url)), ["flight.*"], filters) as reader:
        first = reader.ask()  # at the start, its absence is an error
        if not watch:
            _write(output, first, chosen)
        elif output.can_redraw and chosen is Format.TABLE:
            _watch(output, reader, first)
        else:
            _write_on(invocation, output, reader, first, chosen)


def _write(output: Output, state: WorldState, format: Format, *, is_line: bool = False) -> None:
    """Print the flights; ``is_line``: as one line of JSON, because others follow."""
    from swim_server.gateway.http.rendering import encode_entry, feature_of, to_csv, to_geojson
    from swim_server.state.kinds import FLIGHTS as KIND

    from swimctl.render.state import FLIGHTS, PLAIN_FLIGHTS

    found = state.entries.get("flights", [])
    match format:
        case Format.JSON:
            document = {"as_of": state.as_of, "count": len(found), "flights": found}
            if is_line:
                output.json_line(document)
            else:
                output.document(document)
        case Format.GEOJSON:
            features = (feature_of(KIND.key_of(flight), flight, encode_entry(flight)) for flight in found)
            written = [feature.to_json() for feature in features if feature is not None]
            output.line(to_geojson(written, state.as_of).decode().rstrip())
        case Format.CSV:
            output.line(to_csv(found, is_flights=True).decode().replace("\r\n", "\n").rstrip("\n"))
        case Format.TABLE:
            ordered = sorted(found, key=lambda flight: str(flight.get("callsign")))
            output.table(FLIGHTS if output.is_terminal else PLAIN_FLIGHTS, ordered, empty="no flights match")


def _write_on(invocation: Invocation, output: Output, reader: StateReader, first: WorldState, format: Format) -> None:
    """Print the flights again and again; messages about an unavailable service go to standard error."""
    import time

    state: WorldState | None = first
    while True:
        if state is not None:
            _write(output, state, format, is_line=True)
        time.sleep(REFRESH_SECONDS)
        previous, (state, away) = state, _ask_again(reader)
        if away is not None and previous is not None:
            invocation.messages().line(f"— {away}; waiting for it —")


def _ask_again(reader: StateReader) -> tuple[WorldState | None, str | None]:
    """Request the flights, or return why there is no answer right now.

    Raises CommandError if there will never be one.
    """
    from swimctl.client.connect import is_final

    try:
        return reader.ask(), None
    except CommandError as error:
        if is_final(error):
            raise
        return None, error.problem


def _watch(output: Output, reader: StateReader, state: WorldState) -> None:
    from rich.text import Text

    from swimctl.live.ending import ending_signals
    from swimctl.live.screen import Screen, wants_to_quit
    from swimctl.render.foot import Foot
    from swimctl.render.state import flights_picture
    from swimctl.text import clean

    keys, away, console = Text("q quit", style="dim"), None, output.console()
    with ending_signals(), Screen(console) as screen:
        while True:
            told: list[Text] = [] if away is None else [Text(f"○ {clean(away)}; waiting for it", style="bold red")]
            lines, found = [*told, keys], state.entries.get("flights", [])
            picture = flights_picture(found, state.as_of, console.width, console.height - len(lines))
            screen.draw(Foot(picture, lines))
            if wants_to_quit(screen.keys(REFRESH_SECONDS)):
                return
            newer, away = _ask_again(reader)
            state = newer or state
