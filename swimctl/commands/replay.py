"""``swimctl replay``."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl import standard_streams
from swimctl.app import single_command
from swimctl.arguments.files import told_with_its_name
from swimctl.completion.words import channels as complete_channels
from swimctl.errors import CommandFailed, WrongUsage
from swimctl.invocation import Invocation, invocation_of
from swimctl.progress import Progress

if TYPE_CHECKING:
    from swimctl.replaying.sinks import Sink

app = single_command()


@app.command()
def replay(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="A recording, JSON lines or a folder of feed snapshots; - is standard input."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="X", help="An id, a time, or 10m: in history that long ago, in FILE after its start."
        ),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="Y", help="Where to stop; default: the end.")] = None,
    channels: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="CHANNEL", autocompletion=complete_channels, help="Only these channels."),
    ] = None,
    speed: Annotated[
        float,
        typer.Option("--speed", metavar="N", min=0, help="Speed as a multiple of real time; 0: as fast as possible."),
    ] = 1.0,
    output_file: Annotated[
        Path | None, typer.Option("--output", metavar="F", help="Write JSON lines to this file.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="HOME", help="Publish into the daemon of this home.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --output or --into: at the end, print one JSON document about it.")
    ] = False,
) -> None:
    """Replay events: a range of history, or a recording.

    Events go to standard output or a file as JSON lines, byte for byte as recorded; or into a daemon, with the same
    type, data and timestamp but a new id. Pauses longer than five seconds are shortened. A damaged recording is
    replayed up to the damage, which is reported with exit code 1.

    \b
    Examples:
      swimctl replay --from 10m --speed 10
      swimctl replay --from 2h --to 1h --speed 0 --output hour.jsonl
      swimctl replay evening.swim --speed 10 --from 30m --to 45m --channel "tmi.*"
      swimctl replay evening.swim --speed 5 --into /tmp/test-home
      swimctl replay snapshots/2024-11-21 --speed 30
    """
    from swimctl.replaying.sinks import CountingSink

    if file is None and start is None and end is None:
        raise WrongUsage("replay takes FILE, or --from and --to for history", "see: swimctl replay --help")
    if output_file is not None and into is not None:
        raise WrongUsage("--output and --into can't both be given")
    invocation = invocation_of(context)
    tells = as_json and (output_file is not None or into is not None)  # else standard output has the events, as JSON
    output = invocation.output(as_json=as_json)
    messages = invocation.messages()
    shows = output_file is not None or into is not None or not output.is_terminal  # else the events are on the screen
    with _sink(invocation, output_file, into) as inner, Progress(messages, "replaying") as progress:
        sink = CountingSink(inner, progress) if shows else inner
        try:
            if file is not None:
                _play_file(sink, file, start, end, channels, speed)
            else:
                _play_history(invocation, sink, start, end, channels, speed)
        except BrokenPipeError:
            standard_streams.discard_output()
    if tells:
        output.document({"played": sink.played, "output": output_file and str(output_file), "into": into and str(into)})
    elif messages.is_terminal:
        messages.line(f"{sink.played:,} events played")


def _play_file(
    sink: Sink, file: Path, start: str | None, end: str | None, channels: list[str] | None, speed: float
) -> None:
    from swim_server.sources.recording.recorded_events import kind_of_recording

    from swimctl.replaying.bounds import read_seek
    from swimctl.replaying.pace import Pace, play
    from swimctl.replaying.sinks import ChannelSink
    from swimctl.replaying.sources import file_events, play_snapshots

    first, last = read_seek(start, "--from"), read_seek(end, "--to")
    with told_with_its_name(file):
        is_of_events = str(file) == "-" or kind_of_recording(file) != "snapshots"
    wanted = ChannelSink(sink, read_channels(channels))
    if is_of_events:
        play(file_events(file, first, last), wanted, Pace(speed))
    else:
        play_snapshots(file, speed, wanted, first, last)


def _play_history(
    invocation: Invocation, sink: Sink, start: str | None, end: str | None, channels: list[str] | None, speed: float
) -> None:
    from swimctl.client.connect import to_daemon
    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import SubscriptionRequest
    from swimctl.replaying.bounds import read_end, read_start
    from swimctl.replaying.pace import Pace, play
    from swimctl.replaying.sources import history_events

    now_ms = time.time_ns() // 1_000_000
    after, until = read_start(start, now_ms), read_end(end, now_ms)
    stream = EventStream(to_daemon(invocation.home), SubscriptionRequest(read_channels(channels), after=str(after)))
    stream.open()
    try:
        play(history_events(stream, until, invocation.messages().line), sink, Pace(speed))
    finally:
        stream.close()


def read_channels(channels: list[str] | None) -> tuple[str, ...]:
    """Channels, also several with commas between; all without."""
    return tuple(part.strip() for channel in channels or ["*"] for part in channel.split(",") if part.strip())


@contextmanager
def _sink(invocation: Invocation, output_file: Path | None, into: Path | None) -> Iterator[Sink]:
    from swim_server.daemon.home import Home

    from swimctl.client.control import ControlClient
    from swimctl.client.publisher import Publisher
    from swimctl.replaying.sinks import DaemonSink, LineSink

    with ExitStack() as stack:
        if into is not None:
            home = Home(into)
            publisher = Publisher(
                lambda: ControlClient.connect(home),
                lambda *_: None,
                nonce=f"replay-{secrets.token_hex(8)}",
                patience_seconds=10.0,
            )
            publisher.open()
            stack.callback(publisher.close)
            yield DaemonSink(publisher)
        elif output_file is not None:
            try:
                yield LineSink(stack.enter_context(output_file.open("x", encoding="utf-8")))
            except FileExistsError:
                raise CommandFailed(f"{output_file} already exists", "choose another name, or remove it") from None
        else:
            yield LineSink(sys.stdout)
