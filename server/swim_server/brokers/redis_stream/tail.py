"""Follows the streams on a connection of its own, finds out what was lost, and fills this node's copy."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.origin import BEGUN, Hole
from swim_server.brokers.redis_stream.entries import Entry, EntryReader, InvalidEntry, merge, read_id
from swim_server.brokers.redis_stream.errors import EpochChanged, ServerLoading, ServerRefused
from swim_server.brokers.redis_stream.history_copy import CopyEndsEarlier, CopyState
from swim_server.brokers.redis_stream.local_copy import LocalCopy
from swim_server.brokers.redis_stream.names import Names
from swim_server.brokers.redis_stream.rights import check_rights
from swim_server.brokers.redis_stream.server import Server
from swim_server.brokers.redis_stream.session import Session
from swim_server.brokers.redis_stream.stream_state import (
    STORED_VERSION,
    StreamState,
    is_in_stream,
    last_before,
    open_epoch,
    other_installation,
    read_losses,
    read_state,
)
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import Clock
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event

READ_EVENTS = 1000
BLOCK_MS = 1000
BLOCK_GRACE_SECONDS = 3.0
LOOK_SECONDS = 1.0
LOST, TRIMMED = "lost by the server", "let go of before it was copied"

_log = get_logger("broker")


class Message(msgspec.Struct, frozen=True):
    """A message from one node to the others: its id and its fields."""

    id: str
    fields: dict[str, str]


def read_message(entry: Entry) -> Message:
    """Read a message from its entry in the stream."""
    raw_id, fields = entry
    texts = [field.decode("utf-8", "replace") for field in fields]
    return Message(raw_id.decode(), dict(zip(texts[::2], texts[1::2], strict=False)))


class Tail:
    """Reads the streams continuously: events go to ``copy``.

    It reads the messages between nodes as well, in their turn with the events: ``on_message`` may conclude that events
    come through. What messages say is read on another connection, which does not wait for events.
    """

    def __init__(self, server: Server, names: Names, copy: LocalCopy, *, clock: Clock, now: Callable[[], str]) -> None:
        self.epoch: str | None = None
        """The order of ids that this node follows; None: it follows none at the moment."""
        self.run_id: str | None = None
        """The run of the server that it is connected to; None: not connected."""
        self.trouble: str | None = "not connected yet"
        """Why it does not follow at the moment."""
        self.refusal: ServerRefused | None = None
        """Why the last attempt failed, if retrying does not help."""
        self.is_loading = False
        """Whether it failed because the server is still reading its data from the disk."""
        self.last_read_at: float | None = None
        """When it last had everything that the server had, by the monotonic clock."""
        self.failures = 0
        self.changed = asyncio.Condition()
        """Notified whenever it has read more, or failed."""
        self.on_message: Callable[[Message], None] | None = None
        self.on_hole: Callable[[Hole], None] | None = None
        self._server = server
        self._names = names
        self._copy = copy
        self._clock = clock
        self._now = now
        self._entries = EntryReader()
        self._message_id = b"$"
        self._cursor = ZERO
        self._adopted = ZERO
        self._looked_at = 0.0
        self._is_outdated = False

    async def run(self) -> None:
        """Follow until cancelled; after trouble, continue from the last copied event."""
        backoff = Backoff(0.1, 2.0, clock=self._clock)
        while True:
            try:
                await self._follow(backoff)
            except CopyEndsEarlier:
                _log.warning("this node's copy of history ended early: it is read again from the server")
                continue
            except EpochChanged:
                continue
            except BrokerUnavailable as error:
                self._tell(error)
            except Exception as error:  # noqa: BLE001 - it must go on whatever happened; the log has it
                _log.exception("following the stream failed")
                self._tell(BrokerUnavailable(repr(error)))
            finally:
                self.epoch = self.run_id = None
                await self._notify()
            await self._clock.sleep(backoff.fail())

    def _tell(self, error: BrokerUnavailable) -> None:
        self.failures += 1
        self.refusal = error if isinstance(error, ServerRefused) else None
        self.is_loading = isinstance(error, ServerLoading)
        if error.reason != self.trouble:
            self.trouble = error.reason
            _log.error("the stream can't be followed", reason=error.reason)

    def is_outdated(self) -> None:
        """Connect anew: the address leads to another server by now, although the connection to this one still works."""
        self._is_outdated = True

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _follow(self, backoff: Backoff) -> None:
        session = await self._server.open(self._names.state)
        self._is_outdated = False
        try:
            await self._attach(session)
            await self._find_messages(session)
            if self.trouble is not None and self.last_read_at is not None:
                _log.info("the stream is followed again")
            self.trouble = self.refusal = None
            backoff.succeed()
            while True:
                await self._read(session)
        finally:
            await session.close()

    # Where to continue from.

    async def _attach(self, session: Session) -> None:
        """Find where this copy ends in the streams, and what is missing after it."""
        await check_rights(session, self._names, self._server.address.shown)
        while True:
            copied, state = await self._copy.look(), await read_state(session, self._names)
            if state is None:
                await self._begin_epoch(session, None, copied, None)
                continue
            self._check(state, copied)
            losses = await read_losses(session, self._names)
            lost_after = await self._lost_after(session, state, copied, losses)
            if lost_after is not None or state.run != session.run.id:
                await self._begin_epoch(session, state, copied, lost_after)
                continue
            break
        if copied.stream is None:
            await self._copy.follow(state.installation)
        await self._note_missing(state, copied, losses)
        self._cursor = self._adopted = (await self._copy.look()).newest
        self.epoch, self.run_id = state.epoch, session.run.id
        self._looked_at = self._clock.monotonic()

    def _check(self, state: StreamState, copied: CopyState) -> None:
        if state.version != STORED_VERSION:
            raise ServerRefused(
                f"the stream {self._names.state} has form {state.version or 'unknown'}, this version of swimctl reads "
                f"{STORED_VERSION}: run the same version on every node"
            )
        is_foreign = copied.stream != state.installation and not (copied.stream is None and copied.is_empty)
        if is_foreign:
            raise ServerRefused(other_installation(self._names, state.installation, copied.stream or "no stream"))

    async def _begin_epoch(
        self, session: Session, state: StreamState | None, copied: CopyState, lost_after: EventId | None
    ) -> None:
        installation = state.installation if state else copied.stream
        continued = None
        if state is None and copied.stream is None and not copied.is_empty:  # one node's history becomes that of all
            installation, continued = f"{self._copy.epoch}{secrets.token_hex(12)}", copied.newest
            await self._copy.follow(installation)
        has_begun = await open_epoch(
            session, self._names, replaced=state, floor=copied.newest, lost_after=lost_after, now=self._now(),
            installation=installation, continued=continued,
        )  # fmt: skip
        if has_begun:
            _log.warning(
                "a new order of ids begins on the server",
                reason="it holds nothing" if state is None else "events are lost" if lost_after else "it was restarted",
            )

    async def _lost_after(
        self, session: Session, state: StreamState, copied: CopyState, losses: Sequence[tuple[EventId, EventId]]
    ) -> EventId | None:
        """Return the last event that is left, if the server has lost the last one that this node has seen."""
        last = copied.last_event
        if last is None or last <= max(state.begun, state.trimmed_events, state.trimmed_positions):
            return None
        if any(after < last <= up_to for after, up_to in losses):
            return None  # it is known
        if await is_in_stream(session, self._names, last):
            return None
        return await last_before(session, self._names, last)

    async def _note_missing(
        self, state: StreamState, copied: CopyState, losses: Sequence[tuple[EventId, EventId]]
    ) -> None:
        """Record what this node never received and can't receive any more."""
        if copied.newest < state.begun:
            await self._note(Hole(copied.newest, state.begun, BEGUN if copied.is_empty else LOST))
        for after, up_to in losses:
            if up_to > state.begun:
                await self._note(Hole(after, up_to, LOST))
        known = max(copied.newest, state.begun)
        if known < state.trimmed_events:
            await self._note(Hole(known, state.trimmed_events, TRIMMED))
        if known < state.trimmed_positions:
            await self._copy.note_positions_gone(state.trimmed_positions)

    async def _note(self, hole: Hole) -> None:
        if not await self._copy.note_hole(hole) or hole.reason == BEGUN:
            return
        _log.error(
            "events are missing: clients that resume from before are told", reason=hole.reason, after=str(hole.after),
            up_to=str(hole.up_to),
        )  # fmt: skip
        if self.on_hole is not None:
            self.on_hole(hole)

    # Reading.

    async def _find_messages(self, session: Session) -> None:
        """Continue with the messages of other nodes; with new ones on a server that lost them, or has a slow clock."""
        last = await session.call("XREVRANGE", self._names.control, "+", "-", "COUNT", 1)
        newest = last[0][0] if last else b"0-0"
        if self._message_id == b"$" or read_id(self._message_id) > read_id(newest):
            self._message_id = newest

    async def _read(self, session: Session) -> None:
        """Deliver what is there; if there is nothing, wait for a signal that there may be something."""
        names, cursor = self._names, str(self._cursor)
        words = ("STREAMS", names.events, names.positions, names.control, cursor, cursor, self._message_id)
        # The epoch is read after the events: if it is still the one that this node follows, so were they.
        answer, epoch = await session.calls(("XREAD", "COUNT", READ_EVENTS, *words), ("HGET", names.state, "epoch"))
        if epoch is None or epoch.decode() != self.epoch:
            raise EpochChanged("another order of ids has begun")
        if self._clock.monotonic() >= self._looked_at + LOOK_SECONDS:
            await self._look_at_server(session)
        if answer:
            await self._take({stream.decode(): entries for stream, entries in answer})
            await self._notify()
            return
        self.last_read_at = self._clock.monotonic()
        await self._notify()
        # It is woken by a signal only: Redis 6.2 and 7.0 then answer with just one of the streams that a script wrote.
        timeout = BLOCK_MS / 1000 + BLOCK_GRACE_SECONDS
        await session.call("XREAD", "COUNT", 1, "BLOCK", BLOCK_MS, *words, timeout=timeout)

    async def _look_at_server(self, session: Session) -> None:
        """Find out that the server was replaced, or is a replica by now: its stream may still grow."""
        self._looked_at = self._clock.monotonic()
        if self._is_outdated:
            raise EpochChanged("the address leads to another server")
        await session.check_role()

    async def _take(self, answer: dict[str, list[Entry]]) -> None:
        entries = merge(answer.get(self._names.events, []), answer.get(self._names.positions, []), READ_EVENTS)
        events = self._read_entries(entries)
        if events:
            await self._copy.adopt(events, self._adopted)
            self._adopted = events[-1].id
        if entries:
            self._cursor = read_id(entries[-1][0])
        for entry in answer.get(self._names.control, []):
            self._message_id = entry[0]
            if self.on_message is not None:
                self.on_message(read_message(entry))

    def _read_entries(self, entries: Sequence[Entry]) -> list[Event]:
        events: list[Event] = []
        for raw_id, fields in entries:
            try:
                events.append(self._entries.event(raw_id, fields))
            except (InvalidEntry, ValueError) as error:
                _log.error("an entry of the stream is not an event: skipped", reason=str(error))
        return events
