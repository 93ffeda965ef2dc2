"""The messages of state: parts of a world, and entries that entered or left a mirror's filters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.protocol.control_characters import escape_json

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId
    from swim_server.state.kinds import Key, Kind

_ENVELOPE_BYTES = 160
"""An upper bound for a part without its rows and twice the name of its kind."""
_encoder = msgspec.json.Encoder()


def parts(
    chosen: Sequence[tuple[Kind, Sequence[bytes]]], as_of: EventId, max_message_bytes: int
) -> tuple[list[bytes], int]:
    """Encode entries as messages of at most this many bytes. Returns them, and how many entries were too long.

    A kind without entries makes one empty part; ``is_last`` is true only in the last part of the last kind.
    """
    messages: list[bytes] = []
    left_out = 0
    for place, (kind, rows) in enumerate(chosen):
        room = max_message_bytes - _ENVELOPE_BYTES - 2 * len(kind.name)
        batches = list(_batches([row for row in rows if len(row) <= room], room))
        left_out += len(rows) - sum(map(len, batches))
        for number, batch in enumerate(batches, 1):
            is_last = place == len(chosen) - 1 and number == len(batches)
            messages.append(_part(kind.name, batch, as_of, number, is_last=is_last))
    return messages, left_out


def _batches(rows: Sequence[bytes], room: int) -> Iterator[Sequence[bytes]]:
    begin, used = 0, 0
    for end, row in enumerate(rows):
        if used + len(row) + 1 > room:
            yield rows[begin:end]
            begin, used = end, 0
        used += len(row) + 1
    yield rows[begin:]


def _part(name: str, rows: Sequence[bytes], as_of: EventId, number: int, *, is_last: bool) -> bytes:
    head = b'{"type":"state","as_of":"%b","kind":"%b","part":%d,"is_last":%b,"data":{"%b":[' % (
        str(as_of).encode(), name.encode(), number, b"true" if is_last else b"false", name.encode(),
    )  # fmt: skip
    return head + b",".join(rows) + b"]}}"


def entered(kind: Kind, row: bytes, event_id: EventId) -> bytes:
    """Encode an entry after an event: it entered the filters, or the event alone does not pass them."""
    name = kind.name.encode()
    return b'{"type":"state.entered","id":"%b","kind":"%b","data":%b}' % (str(event_id).encode(), name, row)


def left(kind: Kind, key: Key, event_id: EventId) -> bytes:
    """Encode that an entry left the filters after an event, or ended."""
    message: Mapping[str, Any] = {
        "type": "state.left", "id": str(event_id), "kind": kind.name, **kind.names_of(key),
    }  # fmt: skip
    return escape_json(_encoder.encode(message))
