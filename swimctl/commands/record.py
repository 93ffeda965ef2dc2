"""``swimctl record``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import msgspec
import typer

from swimctl.app import single_command
from swimctl.arguments import subscriptions as options
from swimctl.completion.words import channels as complete_channels
from swimctl.errors import CommandError, WrongUsage
from swimctl.invocation import Invocation, invocation_of
from swimctl.progress import Progress

if TYPE_CHECKING:
    from swim_server.sources.recording.lines import Header

    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import StreamItem
    from swimctl.recording import Signals

app = single_command()


Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="CHANNEL", autocompletion=complete_channels, help=options.CHANNELS_HELP),
]
File = Annotated[str, typer.Argument(metavar="FILE", help="File to write; - is standard output.")]
Duration = Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after this long: 90s, 1h.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Replace FILE without asking.")]
Json = Annotated[bool, typer.Option("--json", help="At the end, print one JSON document about the recording.")]


@app.command()
def record(
    context: typer.Context,
    *,
    file: File,
    channels: Channels = None,
    airport: options.Airports = None,
    artcc: options.Artccs = None,
    callsign: options.Callsigns = None,
    fir: options.Firs = None,
    bbox: options.Bbox = None,
    since: options.Since = None,
    after: options.After = None,
    last: options.Last = None,
    number: options.Count = None,
    duration: Duration = None,
    no_follow: options.NoFollow = False,
    yes: Yes = False,
    as_json: Json = False,
    url: options.Url = None,
) -> None:
    """Record events to one file until Ctrl-C: live ones, or history first.

    The file is gzip of JSON lines, one event per line, byte for byte as received: zcat FILE | jq reads it. Recording
    continues across restarts of the daemon without losing or repeating an event. If it is killed, everything up to the
    last second can be replayed.

    \b
    Examples:
      swimctl record evening.swim
      swimctl record morning.swim --since 6h --no-follow
      swimctl record jfk.swim --channel "flight.*" --airport KJFK --for 1h
      swimctl record - --since 1h --no-follow | ssh host 'cat > hour.swim'
      swimctl replay evening.swim --speed 10
      swimctl serve --source "recording:evening.swim?speed=10"
    """
    from swimctl.recording import Signals, new_header, output_file

    invocation = invocation_of(context)
    if file == "-" and as_json:
        raise WrongUsage("--json and - can't be combined: both write to standard output")
    if no_follow and since is None and after is None and last is None:
        after = "0-0"  # everything in history
    filters = options.read_filters(airport, artcc, callsign, fir, bbox)
    wanted = options.read_wanted(channels, filters, since=since, after=after, last=last)
    signals = Signals()
    until = _Until(signals, number, _seconds(duration), no_follow=no_follow)
    with output_file(file, yes=yes) as open_file, signals.taken():
        remote = invocation.remote(url)
        header = new_header(wanted, "this machine" if remote is None else remote.url)
        target = _Target(file, open_file, header, as_json=as_json)
        with closing(options.new_stream(invocation, wanted, remote)) as stream:
            stream.open()
            _record(invocation, stream, target, until)
    if signals.received is not None:
        raise SystemExit(128 + signals.received)  # 130 for Ctrl-C, though the recording is whole


class _Target(NamedTuple):
    """The file to write, its header, and whether to print a report at the end."""

    name: str
    open_file: Callable[[], BinaryIO]
    header: Header
    as_json: bool


def _record(invocation: Invocation, stream: EventStream, target: _Target, until: _Until) -> None:
    """Record, write the end mark however it ended, and print a report."""
    from swim_server.sources.recording.writer import RecordingWriter

    from swimctl.patient_file import PatientFile
    from swimctl.recording import Recording

    messages = invocation.messages()
    progress = Progress(messages, "recording", total=until.wanted)
    file = PatientFile(target.open_file(), progress.line, until.is_interrupted)
    recording = Recording(stream, lambda: RecordingWriter(file, target.header), target.name, progress.line)
    try:
        with progress:
            recording.run(until, lambda writer: progress.set(writer.events))
    except CommandError as error:
        with suppress(CommandError):  # already reported, if it is the file that can't be written
            recording.finish(error.problem)
        raise
    end = recording.finish(until.reason)
    recording.sync(file)
    if target.as_json:
        document = {"file": target.name, "bytes": recording.writer.packed_bytes, **msgspec.to_builtins(end)}
        invocation.output(as_json=True).document(document)
    elif messages.is_terminal:
        messages.line(f"{end.events:,} events recorded, {_size(recording.writer.packed_bytes)}")


class _Until:
    """When to stop recording, and the reason."""

    def __init__(self, signals: Signals, number: int | None, seconds: float | None, *, no_follow: bool) -> None:
        self.reason = ""
        self.wanted = number
        """The number of events to record; None: no limit."""
        self._signals = signals
        self._left = number
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._no_follow = no_follow

    def is_interrupted(self) -> bool:
        """Return True if a signal asked to stop."""
        return self._signals.received is not None

    def __call__(self, item: StreamItem | None) -> bool:
        from swimctl.client.stream_items import CaughtUp
        from swimctl.live.ending import is_event

        if self._left is not None and item is not None and is_event(item):
            self._left -= 1
        if self._left == 0:
            self.reason = "the number of events asked for"
        elif self._no_follow and isinstance(item, CaughtUp):
            self.reason = "the end of history"
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = "the time asked for"
        elif self.is_interrupted():
            self.reason = "interrupted"
        return bool(self.reason)


def _seconds(text: str | None) -> float | None:
    from swim_server.config import InvalidDuration, parse_duration

    try:
        return None if text is None else parse_duration(text)
    except InvalidDuration as error:
        raise WrongUsage(f"--for: {error}") from None


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < 10_240 else f"{count / 1024:,.0f} KiB"
