"""``swimctl replay``."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.errors import CommandFailed, WrongUsage
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swimctl.replaying import Sink

app = single_command()


@app.command()
def replay(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="JSON lines (.gz too), or a folder of feed snapshots.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="X", help="History from this id, time, or 10m ago.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="Y", help="History up to this; else to its end.")] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", metavar="CHANNEL", help="Only these, of history.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", metavar="N", min=0, help="Times real time; 0: at once.")] = 1.0,
    output_file: Annotated[Path | None, typer.Option("--output", metavar="F", help="Write JSON lines there.")] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="HOME", help="Store the events in the daemon of that home.")
    ] = None,
) -> None:
    """Play events again: a range of history, or a recording.

    To standard output as JSON lines, to a file, or into a daemon, where each is stored anew with an id of its own and
    the time at which it happened. Silences longer than five seconds are shortened.

    \b
    Examples:
      swimctl replay --from 10m --speed 10
      swimctl replay --from 2026-01-16T14:00:00Z --to 2026-01-16T15:00:00Z --speed 0 --output hour.jsonl
      swimctl replay hour.jsonl --speed 5 --into /tmp/test-home
      swimctl replay snapshots/2024-11-21 --speed 30
    """
    if (file is None) == (start is None and end is None):
        raise WrongUsage("replay takes either FILE, or --from and --to", "see: swimctl replay --help")
    if output_file is not None and into is not None:
        raise WrongUsage("--output and --into can't both be given")
    invocation = invocation_of(context)
    with _sink(invocation, output_file, into) as sink:
        try:
            _play(invocation, sink, file, start, end, channels, speed)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if invocation.messages().is_terminal:
        invocation.messages().line(f"{sink.played:,} events played")


def _play(
    invocation: Invocation,
    sink: Sink,
    file: Path | None,
    start: str | None,
    end: str | None,
    channels: list[str] | None,
    speed: float,
) -> None:
    from swimctl.dial import to_daemon
    from swimctl.replaying import Pace, file_events, history_events, play, play_snapshots, read_end, read_start
    from swimctl.stream import EventStream
    from swimctl.stream_items import Wanted

    if file is not None and file.is_dir():
        play_snapshots(file, speed, sink)
        return
    if file is not None:
        play(file_events(file), sink, Pace(speed))
        return
    now_ms = time.time_ns() // 1_000_000
    after, until = read_start(start, now_ms), read_end(end, now_ms)
    wanted = Wanted(tuple(channels or ["*"]), after=str(after))
    stream = EventStream(to_daemon(invocation.home), wanted)
    stream.open()
    try:
        play(history_events(stream, until, invocation.messages().line), sink, Pace(speed))
    finally:
        stream.close()


@contextmanager
def _sink(invocation: Invocation, output_file: Path | None, into: Path | None) -> Iterator[Sink]:
    from swim_server.daemon.home import Home

    from swimctl.control import ControlClient
    from swimctl.publishing import Publisher
    from swimctl.replaying import DaemonSink, LineSink

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
                raise CommandFailed(f"{output_file} exists already", "choose another name, or remove it") from None
        else:
            yield LineSink(sys.stdout)
