"""Records a stream of events to one file: what is written when, and how it ends."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from swim_server import __version__
from swim_server.files.opening import follow_own_links, open_descriptor
from swim_server.files.replacing import sync_folder
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.recording.lines import FORMAT, End, Header
from swim_server.sources.recording.writer import RecordingWriter

from swimctl.errors import CommandFailed, WrongUsage
from swimctl.output import require_yes
from swimctl.text import clean

if TYPE_CHECKING:
    from types import FrameType

    from swimctl.client.event_stream import EventStream
    from swimctl.client.stream_items import StreamItem, SubscriptionRequest
    from swimctl.patient_file import PatientFile

LOOK_SECONDS = 0.25

T = TypeVar("T")
Tell = Callable[[str], None]


def new_header(wanted: SubscriptionRequest, source: str) -> Header:
    """Return the header of a recording that begins now."""
    starts = {"after": wanted.after, "since": wanted.since, "last": wanted.last}
    return Header(
        format=FORMAT,
        id=secrets.token_hex(12),
        program=f"swimctl {__version__}",
        created=format_ms(time.time_ns() // 1_000_000),
        source=source,
        channels=list(wanted.channels),
        filters=dict(wanted.filters),
        start={name: value for name, value in starts.items() if value is not None},
    )


@contextmanager
def output_file(name: str, *, yes: bool) -> Iterator[Callable[[], BinaryIO]]:
    """Ask before anything is overwritten; yield a function that opens the file only when there is something to record.

    Raises WrongUsage, CommandFailed; the function raises CommandFailed.
    """
    if name == "-":
        if sys.stdout.isatty():
            raise WrongUsage(
                "a recording is compressed: it can't be shown on a terminal",
                "swimctl record - > FILE, or: swimctl tail",
            )
        yield lambda: sys.stdout.buffer
        return
    path = Path(name)
    if path.is_dir():
        raise CommandFailed(f"{path} is a folder", "name a file to record into")
    if not path.parent.is_dir():
        raise CommandFailed(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
    replaces = path.exists() and stat.S_ISREG(path.stat().st_mode)
    if replaces:
        require_yes(f"{path} already exists. Replace it?", yes=yes)
    opened: list[BinaryIO] = []

    def open_file() -> BinaryIO:
        try:
            opened.append(_open_output(path, replaces=replaces))
        except FileExistsError:
            raise CommandFailed(f"{path} was created in the meantime", "choose another name") from None
        except OSError as error:
            raise CommandFailed(f"{path} can't be written: {error.strerror}") from None
        return opened[0]

    try:
        yield open_file
    finally:
        for file in opened:
            with suppress(OSError):  # a failed write was reported when it happened
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    file.flush()
                    os.fsync(file.fileno())
                    sync_folder(path.parent)
                file.close()


def _open_output(path: Path, *, replaces: bool) -> BinaryIO:
    """Open the named file; an existing one is replaced only if no link of another user leads to it."""
    if replaces:
        return os.fdopen(open_descriptor(follow_own_links(path), os.O_WRONLY | os.O_TRUNC), "wb")
    return path.open("wb" if path.exists() and not path.is_file() else "xb")


class Recording:
    """Takes the items of a stream and writes events to the file. Raises CommandFailed if it can't be written."""

    def __init__(self, stream: EventStream, begin: Callable[[], RecordingWriter], name: str, tell: Tell) -> None:
        """Record from ``stream``; ``begin`` creates the writer, which writes the first line at once."""
        self._stream = stream
        self._name = name
        self._tell = tell
        self.writer = _written(begin, name, 0)

    def run(self, until: Callable[[StreamItem | None], bool], progress: Callable[[RecordingWriter], None]) -> None:
        """Record until ``until`` returns True; it is called after each item, and at least every quarter of a second."""
        while True:
            wait = self.writer.wait_seconds
            if wait is not None and wait <= 0:
                self._written(self.writer.flush)
                wait = None
            item = self._stream.next(LOOK_SECONDS if wait is None else min(wait, LOOK_SECONDS))
            if item is not None:
                self._take(item)
            progress(self.writer)
            if until(item):
                return

    def finish(self, reason: str) -> End:
        """Write the end mark."""
        return self._written(lambda: self.writer.finish(reason, time.time_ns() // 1_000_000))

    def sync(self, file: PatientFile) -> None:
        """Wait until the recording would survive a power cut. Raises CommandFailed if that is uncertain."""
        try:
            file.sync()
        except OSError as error:
            raise CommandFailed(
                f"{self._name} may not be on the disk as a whole: {error.strerror}",
                f"look whether it plays: swimctl replay {self._name} --speed 0 --output FILE",
            ) from None

    def _take(self, item: StreamItem) -> None:
        from swimctl.client.stream_items import CaughtUp, EventReceived, Gap, Hinted, Lost
        from swimctl.live.ending import reconnected

        match item:
            case EventReceived(event=event, wire=wire) if event.get("type") != "system.heartbeat":
                event_id = event.get("id")
                self._written(lambda: self.writer.add(wire, event_id if isinstance(event_id, str) else None))
            case Lost(reason=reason):
                self._tell(f"— connection lost: {reason}; reconnecting, Ctrl-C stops —")
            case CaughtUp(recovered=recovered, is_first=False):
                self._tell(f"— {reconnected(recovered)} —")
            case Hinted(hint=hint):
                self._tell(f"hint: {clean(hint)}")
            case Gap():
                self._written(self.writer.mark_gap)
                self._tell("— gap: history does not reach back that far; the recording marks it —")
            case _:
                pass

    def _written(self, write: Callable[[], T]) -> T:
        return _written(write, self._name, self.writer.events)


def _written(write: Callable[[], T], name: str, events: int) -> T:
    told = f"{events:,} events were received; what is in the file can be played"
    try:
        return write()
    except BrokenPipeError:
        raise CommandFailed(f"the reader of the recording has gone away; {told}") from None
    except OSError as error:
        raise CommandFailed(f"{name} can't be written: {error.strerror}; {told}") from None


class Signals:
    """SIGINT, SIGTERM and SIGHUP as a request to stop, so that no line is cut off; a second one stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Handle the signals during a ``with`` block."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
