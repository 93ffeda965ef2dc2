"""The world as bytes, with the id up to which it is folded: what a start needs besides the events since. Pure.

A checkpoint is invalid if its digest doesn't match, or its format or order of events is another.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.protocol.event_id import EventId, InvalidEventId

if TYPE_CHECKING:
    from swim_server.state.kinds import Kind
    from swim_server.state.world import World

FORMAT = 1
_MAGIC = b"swim-state\n"
_DIGEST_BYTES = 32


class InvalidCheckpoint(ValueError):
    """Bytes that are not a usable checkpoint."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the checkpoint of the state can't be used: {self.reason}"


class _KindRows(msgspec.Struct, array_like=True):
    """The entries of one kind. With another ``definition`` the same events make other entries."""

    name: str
    definition: list[Any]
    rows: list[tuple[dict[str, Any], int]]


class Checkpoint(msgspec.Struct, array_like=True):
    """The saved content of a world."""

    format: int
    epoch: str
    """The epoch of the event ids that ``as_of`` belongs to."""
    as_of: str
    kinds: list[_KindRows]

    @property
    def id(self) -> EventId:
        """The last event in it."""
        return EventId.parse(self.as_of)

    def restore_into(self, world: World) -> list[Kind]:
        """Restore the entries into an empty world; return the kinds that are missing or defined differently."""
        kept = {rows.name: rows for rows in self.kinds}
        missing = []
        for entries in world.kinds.values():
            rows = kept.get(entries.kind.name)
            if rows is None or rows.definition != _definition(entries.kind):
                missing.append(entries.kind)
            else:
                entries.restore(rows.rows)
        world.as_of = self.id
        return missing


def encode(world: World, epoch: str) -> bytes:
    """Encode a world."""
    kinds = [
        _KindRows(
            entries.kind.name,
            _definition(entries.kind),
            [(entry, entries.touched_ms[key]) for key, entry in entries.by_key.items()],
        )
        for entries in world.kinds.values()
    ]
    content = msgspec.msgpack.encode(Checkpoint(FORMAT, epoch, str(world.as_of), kinds))
    return _MAGIC + sha256(content).digest() + content


def decode(data: bytes, epoch: str) -> Checkpoint:
    """Decode a checkpoint. Raises InvalidCheckpoint for any other bytes."""
    begin = len(_MAGIC) + _DIGEST_BYTES
    content = data[begin:]
    if not data.startswith(_MAGIC) or sha256(content).digest() != data[len(_MAGIC) : begin]:
        raise InvalidCheckpoint("it is cut off or not a checkpoint")
    try:
        found = msgspec.msgpack.decode(content, type=Checkpoint)
        found.id  # noqa: B018  # raises where it is none
    except (msgspec.DecodeError, InvalidEventId) as error:
        raise InvalidCheckpoint(str(error)) from None
    if found.format != FORMAT:
        raise InvalidCheckpoint(f"it is of format {found.format}, not {FORMAT}")
    if found.epoch != epoch:
        raise InvalidCheckpoint("it belongs to another history")
    return found


def _definition(kind: Kind) -> list[Any]:
    changes = None if kind.changes is None else sorted(kind.changes)
    return [kind.family, list(kind.key), sorted(kind.ends), changes]
