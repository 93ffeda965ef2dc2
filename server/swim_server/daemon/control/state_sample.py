"""Builds the answer to ``state_sample``: some young entries of the state, and everything that history says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.concurrency.yielding import yielding
from swim_server.daemon.control.documents.diagnostics import SampledEntry, StateSample, ToldOf
from swim_server.protocol.positions import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swim_server.daemon.components import Components
    from swim_server.protocol.events import Event
    from swim_server.state.kinds import Key
    from swim_server.state.world import Entries, World

READ_EVENTS = 200
"""Newest events of history that are read."""
SAMPLED = 4
"""Entries sampled per kind."""
REMEMBERED_MS = 600_000
"""An entry that is not in the state is reported for this long: later it may have aged out."""


class _Stamped(msgspec.Struct):
    """The part of an event's wire form with its time."""

    timestamp: str


async def build_state_sample(parts: Components) -> StateSample:
    """Read the newest range of history, and the state of entries that first appear in it.

    Entries that may have changed since that range was read are left out. Raises BrokerUnavailable.
    """
    state = parts.hub.state
    if not state.is_ready:
        return StateSample()
    events = await parts.broker.read_last(READ_EVENTS)
    if not events:
        return StateSample(as_of=str(parts.broker.newest_id))
    told: dict[tuple[str, Key], list[ToldOf]] = {}
    async for event in yielding(events):
        for entries in state.world.kinds.values():
            if entries.kind.takes(event.type):
                for key, each in _told_by(entries, event):
                    told.setdefault((entries.kind.name, key), []).append(each)
    last_ms = events[-1].id.milliseconds
    return StateSample(as_of=str(events[-1].id), entries=list(_sampled(state.world, told, last_ms)))


def _told_by(entries: Entries, event: Event) -> Iterator[tuple[Key, ToldOf]]:
    """Return what an event says of which entries."""
    rows: Any = event.data.get("positions") if event.type == POSITIONS else [event.data]
    timestamp = msgspec.json.decode(event.wire, type=_Stamped).timestamp
    for row in rows if isinstance(rows, list) else ():
        key = entries.kind.key_of(row) if isinstance(row, dict) else None
        if key is not None:
            yield key, ToldOf(type=event.type, timestamp=timestamp, at_ms=event.id.milliseconds, data=row)


def _sampled(world: World, told: dict[tuple[str, Key], list[ToldOf]], last_ms: int) -> Iterator[SampledEntry]:
    """Choose the youngest entries of each kind whose whole life was read."""
    counts: dict[str, int] = {}
    for (kind, key), events in reversed(list(told.items())):
        entries = world.kinds[kind]
        entry, first = entries.by_key.get(key), events[0]
        if counts.get(kind, 0) >= SAMPLED or entries.touched_ms.get(key, 0) >= last_ms:
            continue
        is_old = events[-1].at_ms < last_ms - REMEMBERED_MS
        if entry is None and (is_old or entries.refused or events[-1].at_ms >= last_ms):
            continue
        if entry is not None and entry.get("first_seen_at") != first.timestamp:
            continue  # it is older than the range that was read
        counts[kind] = counts.get(kind, 0) + 1
        copied = None if entry is None else dict(entry)
        yield SampledEntry(kind=kind, key=str(key), entry=copied, told=events)
