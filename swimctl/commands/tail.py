"""``swimctl tail``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import single_command
from swimctl.completion import channels as complete_channels
from swimctl.errors import WrongUsage
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from swimctl.client.event_stream import EventStream
    from swimctl.client.session import Session
    from swimctl.client.stream_items import StreamItem, SubscriptionRequest
    from swimctl.output import Output

app = single_command()

LOOK_SECONDS = 0.5
"""So often it is looked whether anybody still reads what is written."""
HISTORY_WITHOUT_START = 50
"""What ``--no-follow`` shows when no start is given."""


@app.command()
def tail(
    context: typer.Context,
    *,
    channels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHANNEL]...", autocompletion=complete_channels, help="flight.departed, tmi.* …; all without."
        ),
    ] = None,
    airport: Annotated[list[str] | None, typer.Option("--airport", metavar="ICAO", help="From or to it.")] = None,
    artcc: Annotated[list[str] | None, typer.Option("--artcc", metavar="ID", help="In this centre.")] = None,
    callsign: Annotated[list[str] | None, typer.Option("--callsign", metavar="PREFIX", help="Callsigns so.")] = None,
    fir: Annotated[list[str] | None, typer.Option("--fir", metavar="ID", help="In or through this region.")] = None,
    bbox: Annotated[
        str | None, typer.Option("--bbox", metavar="N,S,E,W", help="Within; E < W crosses the antimeridian.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="10m, or a time: history first.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="After this event: history first.")] = None,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", min=0, max=100_000, help="The newest N events first.")
    ] = None,
    number: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after N events.")] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="History only, then end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as they came.")] = False,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="As a client there, with the key in SWIM_API_KEY.")
    ] = None,
) -> None:
    """Watch events as they happen.

    A live table on a terminal, one line an event when piped, JSON lines with --json. Survives restarts of the daemon
    without losing or repeating an event. Kinds of filters add up: all must fit; of one kind, any.

    \b
    Examples:
      swimctl tail
      swimctl tail flight.departed flight.arrived --airport KJFK
      swimctl tail "tmi.*" --since 1h --no-follow
      swimctl tail flight.positions --callsign DAL --bbox 45,40,-70,-80
      swimctl tail flight.departed --json --count 3
      SWIM_API_KEY=swim_dev_… swimctl tail --url wss://swim.example.org/api/swim/v1/ws
    """
    from swimctl.live.loop import ending_signals

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    filters = read_filters(airport, artcc, callsign, fir, bbox)
    wanted = read_wanted(channels, filters, since=since, after=after, last=last, has_end=no_follow)
    stream = new_stream(invocation, wanted, url)
    with ending_signals():
        stream.open()
        try:
            until = _Until(number, no_follow=no_follow)
            if output.can_redraw and not as_json and not no_follow:
                _show_table(stream, wanted, output, until, url)
            else:
                _write_lines(stream, wanted, output, invocation.messages(), until)
        finally:
            stream.close()


def read_filters(
    airport: list[str] | None,
    artcc: list[str] | None,
    callsign: list[str] | None,
    fir: list[str] | None,
    bbox: str | None,
) -> dict[str, Any]:
    """Return the options as filters of the wire. Several values also with commas between. Raises WrongUsage."""
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
    """``N,S,E,W`` in degrees. Raises WrongUsage."""
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
    has_end: bool = False,
) -> SubscriptionRequest:
    """Return what to subscribe to. Raises WrongUsage, also for more than one start."""
    from swim_server.protocol.event_id import EventId, InvalidEventId

    from swimctl.client.stream_items import SubscriptionRequest

    if sum(start is not None for start in (since, after, last)) > 1:
        raise WrongUsage("only one of --since, --after and --last can be given")
    if after is not None:
        try:
            EventId.parse(after)
        except InvalidEventId as error:
            raise WrongUsage(f"--after: {error}") from None
    if has_end and since is None and after is None and last is None:
        last = HISTORY_WITHOUT_START
    selected = [part for channel in channels or ["*"] for part in channel.split(",") if part]
    return SubscriptionRequest(tuple(selected), filters, after=after, since=_moment(since), last=last)


def _moment(since: str | None) -> str | None:
    """``10m`` ago, or a time, as RFC 3339."""
    import time

    from swim_server.config import InvalidDuration, parse_duration
    from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms

    if since is None:
        return None
    try:
        return format_ms(parse_ms(since))
    except InvalidTimestamp:
        pass
    try:
        return format_ms(max(0, int((time.time() - parse_duration(since)) * 1000)))
    except InvalidDuration:
        known = "a length of time like 10m or a time like 2026-01-16T14:30:15Z"
        raise WrongUsage(f"--since: must be {known}, got {since!r}") from None


def new_stream(invocation: Invocation, wanted: SubscriptionRequest, url: str | None) -> EventStream:
    """Return the stream of this machine's daemon, or of the service at an address. Raises WrongUsage."""
    from swimctl.client.event_stream import LONGEST_LOCAL_RETRY_SECONDS, LONGEST_RETRY_SECONDS, EventStream

    retry_seconds = LONGEST_LOCAL_RETRY_SECONDS if url is None else LONGEST_RETRY_SECONDS
    return EventStream(_opener(invocation, url), wanted, longest_retry_seconds=retry_seconds)


def _opener(invocation: Invocation, url: str | None) -> Callable[[], Session]:
    from swimctl.client.connect import to_daemon, to_url

    if url is None:
        return to_daemon(invocation.home)
    api_key = invocation.environ.get("SWIM_API_KEY")
    if not api_key:
        raise WrongUsage("--url needs a key: SWIM_API_KEY is not set", "export SWIM_API_KEY=swim_dev_…")
    return to_url(url, api_key)


class _Until:
    """When to end: after so many events, or after the history."""

    def __init__(self, number: int | None, *, no_follow: bool) -> None:
        self._left = number
        self._no_follow = no_follow

    def __call__(self, item: StreamItem) -> bool:
        from swimctl.client.stream_items import CaughtUp
        from swimctl.live.loop import is_event

        if self._left is not None and is_event(item):
            self._left -= 1
        return self._left == 0 or (self._no_follow and isinstance(item, CaughtUp))


def _show_table(
    stream: EventStream, wanted: SubscriptionRequest, output: Output, until: _Until, url: str | None
) -> None:
    from swimctl.live.loop import show_live
    from swimctl.live.model import POSITION_TYPES, TailModel

    model = TailModel(
        title=url or "this machine",
        wanted=_told(wanted),
        show_positions=set(wanted.channels) <= set(POSITION_TYPES),
    )
    show_live(stream, model, output.console(), until=until, asks_status=url is None)


def _told(wanted: SubscriptionRequest) -> str:
    filters = [f"{kind}={','.join(map(str, value))}" for kind, value in wanted.filters.items() if kind != "bbox"]
    box = wanted.filters.get("bbox")
    if box:
        filters.append("bbox=" + ",".join(f"{box[side]:g}" for side in ("north", "south", "east", "west")))
    return " ".join([*(channel for channel in wanted.channels if channel != "*"), *filters])


def _write_lines(
    stream: EventStream, wanted: SubscriptionRequest, output: Output, messages: Output, until: _Until
) -> None:
    from swim_server.protocol.control_characters import escape_json

    from swimctl.client.stream_items import CaughtUp, EventReceived, Gap, Hinted, Lost
    from swimctl.live.model import reconnected
    from swimctl.render.event_row import describe
    from swimctl.text import clean

    shows_heartbeats = bool({"system.heartbeat", "system.*"} & set(wanted.channels))
    while True:
        item = stream.next(LOOK_SECONDS)
        match item:
            case None:
                output.check_reader()
            case EventReceived(event=event, wire=wire):
                if event.get("type") != "system.heartbeat" or shows_heartbeats:
                    output.line(escape_json(wire).decode() if output.as_json else describe(event).to_line())
            case Lost(reason=reason):
                messages.line(f"— connection lost: {reason}; coming back by itself, Ctrl-C ends —")
            case CaughtUp(recovered=recovered, is_first=False):
                messages.line(f"— {reconnected(recovered)} —")
            case Hinted(hint=hint):
                messages.line(f"hint: {clean(hint)}")
            case Gap():
                messages.line("— gap: history does not reach back to the last event seen —")
        if item is not None and until(item):
            if isinstance(item, EventReceived) and (recovery := stream.unfinished_recovery) is not None:
                messages.line(f"— {reconnected(recovery.recovered)} —")
            return
