"""What the server stores of an installation besides its events, and how a new order of ids begins."""

from __future__ import annotations

import secrets

import msgspec

from swim_server.brokers.redis_stream.entries import read_id
from swim_server.brokers.redis_stream.errors import ServerRefused, ServerTrouble
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.scripts import OPEN_EPOCH
from swim_server.brokers.redis_stream.session import Session
from swim_server.protocol.event_id import ZERO, EventId

STORED_VERSION = "1"
"""Version of the format on the server: nodes with different versions can't work together."""
MARGIN_MS = 1000
"""How far before the last known id a new order begins: another node may have seen a little more."""
_FIELDS = (
    "epoch", "run", "installation", "version", "last", "begun", "trimmed_events", "trimmed_positions", "revision",
)  # fmt: skip


class StreamState(msgspec.Struct, frozen=True):
    """The state of an installation as stored on the server."""

    epoch: str
    run: str
    """The run of the server in which this order of ids began."""
    installation: str
    version: str
    last: EventId
    begun: EventId
    """Every event of this installation that the server still has is newer than this id."""
    trimmed_events: EventId
    """The last event trimmed by retention that is not a position."""
    trimmed_positions: EventId
    revision: int
    """Counts the key changes that nodes have announced to each other."""


async def read_state(session: Session, names: Names) -> StreamState | None:
    """Read the state; None: the server has nothing of this installation."""
    epoch, run, installation, version, last, begun, events, positions, revision = await session.call(
        "HMGET", names.state, *_FIELDS
    )
    if epoch is None or last is None or begun is None:
        return None
    return StreamState(
        epoch.decode(), _text(run), _text(installation), _text(version), read_id(last), read_id(begun),
        _id(events), _id(positions), int(revision or 0),
    )  # fmt: skip


async def read_losses(session: Session, names: Names) -> list[tuple[EventId, EventId]]:
    """Read the ranges ``(after, up to)`` in which the server lost events, oldest first."""
    lines: list[bytes] = await session.call("LRANGE", names.losses, 0, -1)
    pairs = [line.partition(b" ") for line in reversed(lines)]
    return [(read_id(after), read_id(up_to)) for after, _, up_to in pairs]


async def open_epoch(
    session: Session,
    names: Names,
    *,
    replaced: StreamState | None,
    floor: EventId,
    installation: str | None,
    lost_after: EventId | None,
    now: str,
    continued: EventId | None = None,
) -> bool:
    """Begin a new order of ids above ``floor``; False if another node was faster. Raises ServerRefused.

    ``continued``: the last id of a history that one node kept alone so far, and that continues here.
    """
    status, found = await session.script(
        OPEN_EPOCH,
        (names.state, names.events, names.positions, names.losses),
        replaced.epoch if replaced else "",
        secrets.token_hex(8),
        now,
        str(floor),
        MARGIN_MS,
        installation or secrets.token_hex(16),
        session.run.id,
        STORED_VERSION,
        "" if lost_after is None else str(lost_after),
        "" if continued is None else str(continued),
    )
    match status:
        case b"ok":
            return True
        case b"epoch":
            return False
        case b"installation":
            raise ServerRefused(other_installation(names, found.decode(), installation or ""))
    raise ServerTrouble(f"the server answers {status!r} where a new order of ids was to begin")


async def last_before(session: Session, names: Names, event_id: EventId) -> EventId:
    """Return the last id in the streams before a given one; ZERO if there is none."""
    found = ZERO
    for stream in (names.events, names.positions):
        entries = await session.call("XREVRANGE", stream, f"({event_id}", "-", "COUNT", 1)
        found = max([found, *(read_id(entry[0]) for entry in entries)])
    return found


async def is_in_stream(session: Session, names: Names, event_id: EventId) -> bool:
    """Tell whether the streams contain an id."""
    for stream in (names.events, names.positions):
        if await session.call("XRANGE", stream, str(event_id), str(event_id)):
            return True
    return False


async def last_stored(session: Session, names: Names) -> EventId:
    """Return the last id in the streams; ZERO if they are empty."""
    found = ZERO
    for stream in (names.events, names.positions):
        entries = await session.call("XREVRANGE", stream, "+", "-", "COUNT", 1)
        found = max([found, *(read_id(entry[0]) for entry in entries)])
    return found


def other_installation(names: Names, theirs: str, ours: str) -> str:
    """Return the error for two installations that use one prefix."""
    return (
        f"the stream {names.state} belongs to installation {theirs[:8]}, the history in this home to {ours[:8]}: "
        "give [broker] another prefix, or begin with an empty home"
    )


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "replace")


def _id(value: bytes | None) -> EventId:
    return ZERO if value is None else read_id(value)
