"""Options that choose events: channels, filters and where to begin. Shared by ``tail``, ``record`` and ``explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Callable

    from swimctl.client.event_stream import EventStream
    from swimctl.client.session import Session
    from swimctl.client.stream_items import SubscriptionRequest
    from swimctl.invocation import Invocation, Remote

CHANNELS_HELP = "Channels, such as flight.departed or tmi.*; default: all."

Airports = Annotated[
    list[str] | None, typer.Option("--airport", metavar="ICAO", help="Flights from or to this airport.")
]
Artccs = Annotated[list[str] | None, typer.Option("--artcc", metavar="ID", help="Flights in this centre.")]
Callsigns = Annotated[
    list[str] | None, typer.Option("--callsign", metavar="PREFIX", help="Callsigns that start with PREFIX.")
]
Firs = Annotated[
    list[str] | None, typer.Option("--fir", metavar="ID", help="Flights in, or planned through, this region.")
]
Bbox = Annotated[
    str | None, typer.Option("--bbox", metavar="N,S,E,W", help="Flights in this box; E < W crosses the antimeridian.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Begin with history from WHEN: 10m ago, or a time.")
]
After = Annotated[
    str | None, typer.Option("--after", metavar="ID", help="Begin with history after the event with this id.")
]
Last = Annotated[
    int | None, typer.Option("--last", metavar="N", min=0, max=100_000, help="Begin with the newest N events.")
]
Count = Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="Stop after N events.")]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="End when history has been shown.")]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Use the service at URL, or at any of URL,URL; key: SWIM_API_KEY."),
]


def read_filters(
    airport: list[str] | None,
    artcc: list[str] | None,
    callsign: list[str] | None,
    fir: list[str] | None,
    bbox: str | None,
) -> dict[str, Any]:
    """Convert the options to filters of the wire protocol; commas separate values too. Raises WrongUsage."""
    lists = {"airports": airport, "artccs": artcc, "callsign_prefix": callsign, "firs": fir}
    options = {"--airport": airport, "--artcc": artcc, "--callsign": callsign, "--fir": fir}
    for option, values in options.items():
        if values is not None and not all(part.strip() for value in values for part in value.split(",")):
            raise WrongUsage(f"{option}: must not be empty: that would be no filter at all")
    filters: dict[str, Any] = {
        kind: [part.strip() for value in values for part in value.split(",") if part.strip()]
        for kind, values in lists.items()
        if values
    }
    if bbox is not None:
        filters["bbox"] = read_bbox(bbox)
    return filters


def read_bbox(text: str) -> dict[str, float]:
    """Parse ``N,S,E,W`` in degrees. Raises WrongUsage."""
    example = "four numbers: north,south,east,west, like 45,40,-70,-80"
    try:
        north, south, east, west = (float(part) for part in text.split(","))
    except ValueError:
        raise WrongUsage(f"--bbox: must be {example}, got {text!r}") from None
    if not (-90 <= south <= north <= 90 and -180 <= east <= 180 and -180 <= west <= 180):
        raise WrongUsage(f"--bbox: must be {example}; north is above south; got {text!r}")
    return {"north": north, "south": south, "east": east, "west": west}


def read_wanted(
    channels: list[str] | None,
    filters: dict[str, Any],
    *,
    since: str | None = None,
    after: str | None = None,
    last: int | None = None,
    state: bool = False,
) -> SubscriptionRequest:
    """Build the subscription request. Raises WrongUsage, also if more than one start is given."""
    from swim_server.protocol.event_id import EventId, InvalidEventId
    from swim_server.protocol.timestamps import format_ms

    from swimctl.arguments.times import read_past_ms
    from swimctl.client.stream_items import SubscriptionRequest

    if sum(start is not None for start in (since, after, last)) > 1:
        raise WrongUsage("only one of --since, --after and --last can be given")
    if state and (since is not None or after is not None or last is not None):
        raise WrongUsage("--state begins with the current state: leave out --since, --after and --last")
    if after is not None:
        try:
            EventId.parse(after)
        except InvalidEventId as error:
            raise WrongUsage(f"--after: {error}") from None
    selected = [part for channel in channels or ["*"] for part in channel.split(",") if part]
    since_text = None if since is None else format_ms(read_past_ms("--since", since))
    return SubscriptionRequest(tuple(selected), filters, after=after, since=since_text, last=last, state=state)


def new_stream(invocation: Invocation, wanted: SubscriptionRequest, remote: Remote | None) -> EventStream:
    """Create the event stream of this machine's daemon, or of the service at an address. Raises WrongUsage."""
    from swimctl.client.event_stream import LONGEST_LOCAL_RETRY_SECONDS, LONGEST_RETRY_SECONDS, EventStream

    retry_seconds = LONGEST_LOCAL_RETRY_SECONDS if remote is None else LONGEST_RETRY_SECONDS
    return EventStream(opener(invocation, remote), wanted, longest_retry_seconds=retry_seconds)


def opener(invocation: Invocation, remote: Remote | None) -> Callable[[], Session]:
    """Return a function that opens sessions with this machine's daemon, or with the service at an address."""
    from swimctl.client.connect import to_daemon, to_url

    return to_daemon(invocation.home) if remote is None else to_url(remote.url, key_for(remote))


def key_for(remote: Remote) -> str:
    """Return the key of a remote service. Raises WrongUsage if there is none."""
    if not remote.api_key:
        raise WrongUsage(f"{remote.url} needs a key: SWIM_API_KEY is not set", "export SWIM_API_KEY=swim_dev_…")
    return remote.api_key
