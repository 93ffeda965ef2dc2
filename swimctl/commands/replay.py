"""``swimctl replay``."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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


File = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="A recording, JSON lines or a folder of feed snapshots; - is standard input."
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="X", help="An id, a time, or 10m: in history that long ago, in FILE after its start."
    ),
]
End = Annotated[str | None, typer.Option("--to", metavar="Y", help="Where to stop; default: the end.")]
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="CHANNEL", autocompletion=complete_channels, help="Only these channels."),
]
Speed = Annotated[
    float, typer.Option("--speed", metavar="N", min=0, help="Speed as a multiple of real time; 0: as fast as possible.")
]
OutputFile = Annotated[Path | None, typer.Option("--output", metavar="F", help="Write JSON lines to this file.")]
Into = Annotated[Path | None, typer.Option("--into", metavar="HOME", help="Publish into the daemon of this home.")]
Json = Annotated[
    bool, typer.Option("--json", help="With --output or --into: at the end, print one JSON document about it.")
]


@dataclass(frozen=True, slots=True)
class Range:
    """The events to replay, as typed: start, end and channels."""

    start: str | None
    end: str | None
    channels: list[str] | None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels, split at commas; all if none are given."""
        words = self.channels or ["*"]
        return tuple(part.strip() for word in words for part in word.split(",") if part.strip())


@app.command()
def replay(
    context: typer.Context,
    *,
    file: File = None,
    start: Start = None,
    end: End = None,
    channels: Channels = None,
    speed: Speed = 1.0,
    output_file: OutputFile = None,
    into: Into = None,
    as_json: Json = False,
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
    output, messages = invocation.output(as_json=as_json), invocation.messages()
    goes_to_stdout = output_file is None and into is None
    with _sink(invocation, output_file, into) as inner, Progress(messages, "replaying") as progress:
        is_on_screen = goes_to_stdout and output.is_terminal
        sink = inner if is_on_screen else CountingSink(inner, progress)
        _play(invocation, sink, file, Range(start, end, channels), speed)
    if as_json and not goes_to_stdout:  # otherwise standard output has the events, as JSON
        output.document({"played": sink.played, "output": output_file and str(output_file), "into": into and str(into)})
    elif messages.is_terminal:
        messages.line(f"{sink.played:,} events played")


def _play(invocation: Invocation, sink: Sink, file: Path | None, wanted: Range, speed: float) -> None:
    """Play from the file, or from history; stop quietly if the reader goes away."""
    try:
        if file is not None:
            _play_file(sink, file, wanted, speed)
        else:
            _play_history(invocation, sink, wanted, speed)
    except BrokenPipeError:
        standard_streams.discard_output()


def _play_file(sink: Sink, file: Path, wanted: Range, speed: float) -> None:
    from swim_server.sources.recording.recorded_events import kind_of_recording

    from swimctl.replaying.bounds import read_seek
    from swimctl.replaying.pace import Pace, play
    from swimctl.replaying.sinks import ChannelSink
    from swimctl.replaying.sources import file_events, play_snapshots

    first, last = read_seek(wanted.start, "--from"), read_seek(wanted.end, "--to")
    with told_with_its_name(file):
        is_of_events = str(file) == "-" or kind_of_recording(file) != "snapshots"
    chosen = ChannelSink(sink, wanted.channel_names)
    if is_of_events:
        play(file_events(file, first, last), chosen, Pace(speed))
    else:
        play_snapshots(file, speed, chosen, first, last)


def _play_history(invocation: Invocation, sink: Sink, wanted: Range, speed: float) -> None:
    from swimctl.client.connect import to_daemon
    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import SubscriptionRequest
    from swimctl.replaying.bounds import read_end, read_start
    from swimctl.replaying.pace import Pace, play
    from swimctl.replaying.sources import history_events

    now_ms = time.time_ns() // 1_000_000
    after, until = read_start(wanted.start, now_ms), read_end(wanted.end, now_ms)
    stream = EventStream(to_daemon(invocation.home), SubscriptionRequest(wanted.channel_names, after=str(after)))
    stream.open()
    try:
        play(history_events(stream, until, invocation.messages().line), sink, Pace(speed))
    finally:
        stream.close()


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
