"""New events on their way from a worker to its primary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swim_server.brokers.broker import InvalidEvent
from swim_server.protocol.events import NewEvent
from swim_server.workers.messages import NewRow

_encode = msgspec.json.Encoder().encode


def write_rows(events: Sequence[NewEvent]) -> list[NewRow]:
    """Describe events. Raises InvalidEvent for the first that is not JSON."""
    rows = []
    for index, event in enumerate(events):
        try:
            rows.append(_row(event))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidEvent(index, str(error) or type(error).__name__) from None
    return rows


def _row(event: NewEvent) -> NewRow:
    timestamp_ms = event.timestamp_ms
    if timestamp_ms is not None and not -(2**63) <= timestamp_ms < 2**63:
        raise ValueError(f"its timestamp_ms is out of range: {timestamp_ms}")
    event_id = None if event.event_id is None else _bytes(event.event_id)
    return NewRow(_bytes(event.type), _encode(event.data), timestamp_ms, event_id)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def read_row(row: NewRow) -> NewEvent:
    """Return the event. Its broker decides whether it can be stored."""
    return NewEvent(
        type=row.type.decode(errors="surrogatepass"),
        data=msgspec.json.decode(row.data),
        timestamp_ms=row.timestamp_ms,
        event_id=None if row.event_id is None else row.event_id.decode(errors="surrogatepass"),
    )
