"""``swimctl tail``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments import subscriptions as options
from swimctl.completion.words import channels as complete_channels
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import StreamItem, SubscriptionRequest
    from swimctl.output import Output

app = single_command()

LOOK_SECONDS = 0.5
"""How often to check whether the reader of the output is still there."""
HISTORY_WITHOUT_START = 50
"""What ``--no-follow`` shows when no start is given."""


@app.command()
def tail(
    context: typer.Context,
    *,
    channels: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHANNEL]...", autocompletion=complete_channels, help=options.CHANNELS_HELP),
    ] = None,
    airport: options.Airports = None,
    artcc: options.Artccs = None,
    callsign: options.Callsigns = None,
    fir: options.Firs = None,
    bbox: options.Bbox = None,
    since: options.Since = None,
    after: options.After = None,
    last: options.Last = None,
    state: Annotated[bool, typer.Option("--state", help="Begin with the current state.")] = False,
    number: options.Count = None,
    no_follow: options.NoFollow = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, as received.")] = False,
    url: options.Url = None,
) -> None:
    """Watch events as they happen.

    Shows a live table on a terminal, one line per event when piped, JSON lines with --json. Continues across restarts
    of the daemon without losing or repeating an event. An event must match every kind of filter given, and one value of
    each kind.

    \b
    Examples:
      swimctl tail
      swimctl tail flight.departed flight.arrived --airport KJFK
      swimctl tail "tmi.*" --since 1h --no-follow
      swimctl tail "flight.*" --airport EGLL --state --json
      swimctl tail flight.positions --callsign DAL --bbox 45,40,-70,-80
      swimctl tail flight.departed --json --count 3
      export SWIM_API_KEY=swim_dev_…
      swimctl tail --url wss://swim.example.org/api/swim/v1/ws
    """
    from swimctl.live.ending import ending_signals

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    filters = options.read_filters(airport, artcc, callsign, fir, bbox)
    if no_follow and since is None and after is None and last is None and not state:
        last = HISTORY_WITHOUT_START
    wanted = options.read_wanted(channels, filters, since=since, after=after, last=last, state=state)
    remote = invocation.remote(url)
    stream = options.new_stream(invocation, wanted, remote)
    with ending_signals():
        stream.open()
        try:
            until = _Until(number, no_follow=no_follow)
            if output.can_redraw and not as_json and not no_follow:
                _show_table(stream, wanted, output, until, None if remote is None else remote.url)
            else:
                _write_lines(stream, wanted, output, invocation.messages(), until)
        finally:
            stream.close()


class _Until:
    """When to stop: after so many events, or at the end of history."""

    def __init__(self, number: int | None, *, no_follow: bool) -> None:
        self._left = number
        self._no_follow = no_follow

    def __call__(self, item: StreamItem) -> bool:
        from swimctl.client.stream_items import CaughtUp, StateReceived
        from swimctl.live.ending import is_event

        if self._left is not None and is_event(item):
            self._left -= 1
        is_state_over = isinstance(item, StateReceived) and bool(item.message.get("is_last"))
        return self._left == 0 or (self._no_follow and (isinstance(item, CaughtUp) or is_state_over))


def _show_table(
    stream: EventStream, wanted: SubscriptionRequest, output: Output, until: _Until, url: str | None
) -> None:
    from swim_server.protocol.positions import POSITION_TYPES

    from swimctl.live.loop import show_live
    from swimctl.live.model import TailModel

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

    from swimctl.client.stream_items import Away, CaughtUp, EventReceived, Gap, Hinted, Lost, StateReceived
    from swimctl.live.ending import reconnected
    from swimctl.render.event_row import describe
    from swimctl.render.state import state_lines
    from swimctl.text import clean

    shows_heartbeats = bool({"system.heartbeat", "system.*"} & set(wanted.channels))
    has_told = False
    while True:
        item = stream.next(LOOK_SECONDS)
        match item:
            case None:
                output.check_reader()
            case EventReceived(event=event, wire=wire):
                if event.get("type") != "system.heartbeat" or shows_heartbeats:
                    output.line(escape_json(wire).decode() if output.as_json else describe(event).to_line())
            case StateReceived(message=message, wire=wire):
                if output.as_json:
                    output.line(escape_json(wire).decode())
                else:
                    for line in state_lines(message):
                        output.line(line)
            case Lost(reason=reason):
                messages.line(f"— connection lost: {reason}; reconnecting, Ctrl-C stops —")
                has_told = False
            case Away(reason=reason) if not has_told:
                messages.line(f"— {reason}; trying again until Ctrl-C —")
                has_told = True
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
