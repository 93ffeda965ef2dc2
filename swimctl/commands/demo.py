"""``swimctl demo``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments.subscriptions import Count
from swimctl.invocation import invocation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from swimctl.client.event_stream import EventStream
    from swimctl.client.session import Session
    from swimctl.client.stream_items import StreamItem
    from swimctl.output import Output
    from swimctl.temporary_service import TemporaryService

app = single_command()

OWNER = "demo"
TIER = "developer"


Flights = Annotated[int, typer.Option("--flights", metavar="N", min=1, max=20_000, help="Number of simulated flights.")]
Speed = Annotated[float, typer.Option("--speed", metavar="X", min=0.1, help="Speed as a multiple of real time.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Random seed: the same seed gives the same traffic.")]
Script = Annotated[
    Path | None, typer.Option("--script", metavar="FILE", help="Play a script to your own client instead of the demo.")
]
Port = Annotated[
    int, typer.Option("--port", metavar="PORT", min=0, max=65_535, help="Port to listen on; 0 picks a free one.")
]
OpenMap = Annotated[bool, typer.Option("--open", help="Open the live map in a browser.")]


@app.command()
def demo(
    context: typer.Context,
    *,
    flights: Flights = 300,
    speed: Speed = 30.0,
    seed: Seed = 1,
    number: Count = None,
    script: Script = None,
    port: Port = 0,
    open_map: OpenMap = False,
) -> None:
    """Try everything in this terminal.

    Starts a daemon in a temporary home on a free port, with simulated traffic and a key, and shows a live table of
    events. It also prints how to connect from another terminal, and the address of the live map. q or Ctrl-C ends it
    and leaves nothing behind.

    With --script, runs a server that drops, closes, repeats, freezes or comes back as FILE says, to test your own
    client; each action of the client is printed as one line. Scripts: sdk/conformance/README.md.

    \b
    Examples:
      swimctl demo
      swimctl demo --flights 2000 --speed 60
      swimctl demo --open --port 8090
      swimctl demo --count 20 | cat
      swimctl demo --script restart.json
    """
    if script is not None:
        from swimctl.scripted_demo import play_script

        play_script(script, port, invocation_of(context).output(), number)
        return
    from swimctl.live.ending import ending_signals
    from swimctl.temporary_service import TemporaryService

    invocation = invocation_of(context)
    output, messages = invocation.output(), invocation.messages()
    try:
        with ending_signals(), TemporaryService(invocation.environ) as service:
            _tell(messages, "Starting a service in a temporary home …")
            service.start([f"simulator?flights={flights}&speed={speed}&seed={seed}"], port=port)
            api_key = service.create_key(TIER, OWNER)
            if open_map:
                _open_map(service, messages)
            _watch(service, api_key, output, messages, _counter(number))
    finally:
        _tell(messages, "The demo is over and has left nothing behind.")
        _tell(messages, "To keep a service running: swimctl serve --detach --source simulator")


def _counter(number: int | None) -> Callable[[StreamItem], bool]:
    from swimctl.live.ending import is_event

    left = [number or 0]

    def until(item: StreamItem) -> bool:
        left[0] -= is_event(item)
        return number is not None and left[0] <= 0

    return until


def _watch(
    service: TemporaryService, api_key: str, output: Output, messages: Output, until: Callable[[StreamItem], bool]
) -> None:
    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import SubscriptionRequest

    stream = EventStream(_opener(service, api_key), SubscriptionRequest(("*",)))
    stream.open()
    try:
        if output.can_redraw:
            from swimctl.live.loop import show_live
            from swimctl.live.model import TailModel

            model = TailModel(title=f"{service.url}  tier {TIER}")
            show_live(stream, model, output.console(), until=until, banner=_banner(service, api_key))
        else:
            for line in connect_lines(str(service.home), service.url, api_key):
                messages.line(line)
            _write_lines(stream, output, until)
    finally:
        stream.close()


def _opener(service: TemporaryService, api_key: str) -> Callable[[], Session]:
    """Return a function that opens sessions at the public address, with the key, as any client does."""
    from swimctl.client.connect import to_url

    dial = to_url(service.url, api_key)

    def open_session() -> Session:
        service.check_alive()
        return dial()

    return open_session


def _write_lines(stream: EventStream, output: Output, until: Callable[[StreamItem], bool]) -> None:
    from swimctl.client.stream_items import EventReceived
    from swimctl.render.event_row import describe

    while True:
        item = stream.next(1.0)
        if isinstance(item, EventReceived) and item.event.get("type") != "system.heartbeat":
            output.line(describe(item.event).to_line())
        if item is not None and until(item):
            return


def _open_map(service: TemporaryService, messages: Output) -> None:
    from swimctl.commands.dashboard import open_in_browser, page_url

    if not open_in_browser(page_url(service.url, "map")):
        messages.line("no browser can be opened from here: open the map's address yourself")


def connect_lines(home: str, url: str, api_key: str) -> list[str]:
    """Return the lines to type in another terminal to use this service."""
    from swimctl.commands.dashboard import page_url

    program = "swimctl" if shutil.which("swimctl") else f"{sys.executable} -m swimctl"
    return [
        f"The live map, where this key is to be typed: {page_url(url, 'map')}",
        "In another terminal, while this one runs:",
        f"  export SWIM_HOME={home}",
        f"  export SWIM_URL={url}",
        f"  export SWIM_API_KEY={api_key}",
        f"  {program} status  # or keys list, tail --url $SWIM_URL",
    ]


def _banner(service: TemporaryService, api_key: str) -> list[Text]:
    from rich.text import Text

    from swimctl.commands.dashboard import page_url

    command = f". {write_env(service.home, service.url, api_key)} && swimctl status"
    return [
        Text(),
        Text("Live map: ", style="bold") + Text(page_url(service.url, "map"), style="cyan"),
        Text("its key:  ", style="bold") + Text(api_key, style="cyan"),
        Text("In another terminal:", style="bold"),
        Text(command, style="cyan"),
    ]


def write_env(home: Path, url: str, api_key: str) -> Path:
    """Write a file for the shell to source: one short line to type instead of five."""
    import shlex

    exports = {"SWIM_HOME": str(home), "SWIM_URL": url, "SWIM_API_KEY": api_key}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    if not shutil.which("swimctl"):
        lines.append(f'swimctl() {{ {shlex.quote(sys.executable)} -m swimctl "$@"; }}')
    path = home / "env"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _tell(messages: Output, text: str) -> None:
    if messages.is_terminal:
        messages.line(text)
