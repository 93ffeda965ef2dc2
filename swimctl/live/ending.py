"""How a command that watches ends: by a signal, or after a number of events. Imports nothing that draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from swimctl.client.stream_items import EventReceived, StreamItem
from swimctl.text import plural


@contextmanager
def ending_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as a normal end of the command, so that screen and processes are cleaned up."""
    import signal
    from types import FrameType

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: cleanup follows
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # not all on Windows
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_event(item: StreamItem) -> bool:
    """Return True if the item is an event that counts: heartbeats don't."""
    return isinstance(item, EventReceived) and item.event.get("type") != "system.heartbeat"


def reconnected(recovered: int) -> str:
    """Return ``reconnected, 14 events recovered``."""
    return f"reconnected, {plural(recovered, 'event')} recovered"
