"""Publishing: the events of several calls in one script that can be repeated safely if the connection breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from swim_server.brokers.broker import InvalidEvent, Published
from swim_server.brokers.draft import digest_of, parts_of
from swim_server.brokers.redis_stream.entries import encode_entry, message_bytes, too_long
from swim_server.brokers.redis_stream.errors import EpochChanged, Fenced, OutcomeUnknown, ServerRefused, ServerTrouble
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.scripts import PUBLISH
from swim_server.brokers.redis_stream.server import Server
from swim_server.brokers.redis_stream.session import Session
from swim_server.brokers.redis_stream.tail import Tail
from swim_server.brokers.retention import EVENT_ID_KEEP_MS, Retention
from swim_server.concurrency.clock import Clock
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import NewEvent
from swim_server.protocol.positions import POSITION_TYPES

TROUBLE_SECONDS = 2.0
"""How long a commit that certainly failed is retried before the publisher is told."""
UNKNOWN_SECONDS = 15.0
"""How long it is tried to find out the outcome of a commit whose answer was lost."""
PAUSE_SECONDS = 0.05
COMMIT_SECONDS = 5.0
"""How long an answer is waited for. Then the commit is repeated on another connection, which changes nothing if it was
executed, so a short time is safe."""
_ID_BYTES = 15


class Fence(msgspec.Struct, frozen=True):
    """What a node that runs a leased source presents."""

    source: str
    token: int


class Encoded(NamedTuple):
    """One call in the form that the script takes."""

    names: list[str | None]
    """The digest of each event's own event id."""
    parts: list[list[tuple[bool, bytes, int]]]
    """For each event: whether it is a position, its entry, and the space left for its id."""

    @property
    def rooms(self) -> list[int]:
        """The smallest space for an id that each event leaves."""
        return [min(room for _, _, room in parts) for parts in self.parts]


def encode_call(events: Sequence[NewEvent]) -> Encoded | InvalidEvent:
    """Encode all events of a call, or return the one that can't be stored."""
    encoded = Encoded([], [])
    for index, event in enumerate(events):
        try:
            parts = [(part.type in POSITION_TYPES, *encode_entry(part)) for part in parts_of(event)]
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return InvalidEvent(index, str(error) or type(error).__name__)
        encoded.names.append(None if event.event_id is None else digest_of(event.event_id))
        encoded.parts.append(parts)
    return encoded


class Commits:
    """Runs the script, one commit at a time."""

    def __init__(
        self,
        server: Server,
        names: Names,
        tail: Tail,
        *,
        writer: str,
        clock: Clock,
        now: Callable[[], str],
        retention: Retention,
    ) -> None:
        self.is_closing = False
        self._server = server
        self._names = names
        self._tail = tail
        self._writer = writer
        self._clock = clock
        self._now = now
        self._keep = retention.keep_ms, retention.keep_positions_ms
        self._session: Session | None = None
        self._number = 0
        """Of the last commit: the server executes none that an earlier connection delivers late."""

    async def store(self, calls: Sequence[Encoded], fence: Fence | None = None) -> list[list[Published] | InvalidEvent]:
        """Store the calls; answer each. Raises ServerTrouble, EpochChanged, Fenced: then nothing was stored.

        Only OutcomeUnknown leaves that open: events with an ``event_id`` can be sent again.
        """
        self._number += 1
        words = self._words(calls, fence)
        started, is_unknown = self._clock.monotonic(), False
        while True:
            try:
                status, found = await self._try(*words)
            except OutcomeUnknown as error:
                trouble: ServerTrouble | EpochChanged = error
                is_unknown = True
            except ServerRefused:
                await self.close()
                raise
            except (ServerTrouble, EpochChanged) as error:
                trouble = error
            else:
                if status == b"ok":
                    return [_answer(call, reply) for call, reply in zip(calls, found, strict=True)]
                if status == b"fenced":
                    assert fence is not None, "nothing else is fenced"
                    raise Fenced(f"source {fence.source} is run by another node by now")
                assert status != b"late", "commits are made one after the other"
                trouble = EpochChanged("another order of ids has begun on the server: this node looks at it first")
            await self.close()
            limit_seconds = UNKNOWN_SECONDS if is_unknown else TROUBLE_SECONDS
            if self._clock.monotonic() - started >= limit_seconds or (self.is_closing and not is_unknown):
                if is_unknown and not isinstance(trouble, OutcomeUnknown):
                    raise OutcomeUnknown(trouble.reason)
                raise trouble
            await self._clock.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connection; the next commit opens one. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _try(self, keys: list[str], arguments: list[Any]) -> tuple[bytes, Any]:
        is_new = self._session is None or self._session.is_broken
        if self._session is None or self._session.is_broken:
            self._session = await self._server.open(self._names.state)
        epoch = self._tail.epoch
        if epoch is None or self._tail.run_id != self._session.run.id:
            if is_new:
                self._tail.is_outdated()
            raise EpochChanged(self._tail.trouble or "this node does not follow the stream yet")
        answer = await self._session.script(PUBLISH, keys, epoch, self._now(), *arguments, timeout=COMMIT_SECONDS)
        return answer[0], answer[1]

    def _words(self, calls: Sequence[Encoded], fence: Fence | None) -> tuple[list[str], list[Any]]:
        """Return keys and arguments, without epoch and time, which differ with each attempt."""
        names = self._names
        indexes: dict[str, int] = {}
        arguments: list[Any] = [
            *self._keep, EVENT_ID_KEEP_MS, fence.source if fence else "", fence.token if fence else "",
            self._number, len(calls),
        ]  # fmt: skip
        for call in calls:
            arguments.append(len(call.names))
            for name, parts in zip(call.names, call.parts, strict=True):
                arguments += [0 if name is None else indexes.setdefault(name, len(indexes) + 1), len(parts)]
                for is_position, entry, room in parts:
                    arguments += [int(is_position), room, entry]
        keys = [names.state, names.events, names.positions, names.commit(self._writer)]
        return keys + [names.event_id(name) for name in indexes], arguments


def _answer(call: Encoded, reply: Sequence[bytes]) -> list[Published] | InvalidEvent:
    if reply and reply[0] == b"!":
        index = int(reply[1]) - 1
        return InvalidEvent(index, too_long(message_bytes(call.rooms[index], _ID_BYTES)))
    return [Published(each[1:].decode(), duplicate=each[:1] == b"=") for each in reply]


def newest_of(published: Sequence[Published]) -> EventId:
    """Return the newest id of an answer; new events have ids in order, duplicates may have any."""
    newest = next((each.id for each in reversed(published) if not each.duplicate), None)
    found = [EventId.parse(each.id) for each in published if each.duplicate]
    return max(found if newest is None else [*found, EventId.parse(newest)], default=ZERO)
