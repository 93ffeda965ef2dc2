"""Key changes between nodes: each is announced in the stream, and none is missed by a node that was away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.cluster.answers import TOLD_SECONDS, Answers
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from swim_server.brokers.redis_stream.tail import Message
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks

KIND = "key"
UNDER_WAY_SECONDS = 0.2
"""How long an announcement may be under way here after another connection has heard that there is one."""
ALONE_SECONDS = 1.0
"""How often the key table is read while announcements can't be heard."""
ALONE_SHARE = 10
"""A table that takes long is read less often: for a tenth of the time at most."""

_log = get_logger("cluster")


class Told(msgspec.Struct, frozen=True):
    """The result of announcing a change to all nodes."""

    closed: int
    """Connections closed by the other nodes."""
    silent: list[str]
    """Live nodes that have not answered."""


class KeyChanges:
    """Announces the changes made here, and follows those made on other nodes."""

    def __init__(self, node: str, answers: Answers, tasks: Tasks, clock: Clock) -> None:
        self.on_changed: Callable[[int, str | None, str | None], Awaitable[int]] | None = None
        """Called for a key that changed on another node: with an ending that is not stored yet, or None; and the state
        in which that node has just read it, if it is ended."""
        self.on_unknown: Callable[[], Awaitable[None]] | None = None
        """Called if changes of some keys may have been missed: all must be checked."""
        self.on_alone: Callable[[], Awaitable[None]] | None = None
        """Called each second while announcements can't be made or heard: keys must be checked without them."""
        self._node = node
        self._answers = answers
        self._tasks = tasks
        self._clock = clock
        self._untold: dict[int, str | None] = {}
        """Changes made here that the other nodes could not be told of yet."""
        self._revision: int | None = None
        """The number of changes announced so far, as far as this node has heard of them."""

    async def tell(self, key_id: int, ending: str | None = None, *, ended: str | None = None) -> Told:
        """Have every node check a key again; return once all live ones have, or which have not. Never raises.

        If the server is unavailable the other nodes are told as soon as it is available again.
        """
        try:
            message_id = await self._announce(key_id, ending, ended=ended)
            told = await self._answers.collect(message_id, TOLD_SECONDS)
        except BrokerUnavailable as error:
            _log.error("the other nodes can't be told yet that a key has changed", key_id=key_id, reason=error.reason)
            self._untold[key_id] = ending
            return Told(0, ["all others"])
        return Told(sum(int(count) for count in told.found.values()), told.silent)

    async def _announce(self, key_id: int, ending: str | None, *, ended: str | None) -> str:
        fields = {"kind": KIND, "key": str(key_id), "ending": ending or ""}
        return await self._answers.announce(fields | ({} if ended is None else {"ended": ended}))

    def tell_late(self) -> None:
        """Announce what could not be announced before: the server is available again."""
        if self._untold:
            untold, self._untold = self._untold, {}
            self._tasks.start(self._tell_all(untold))

    async def _tell_all(self, untold: dict[int, str | None]) -> None:
        for key_id, ending in untold.items():
            await self.tell(key_id, ending)

    # What others announce.

    def receive(self, message: Message, *, is_fresh: bool) -> None:
        """Follow a change that a node has announced. ``is_fresh``: just now, so that nothing has changed since."""
        number = message.fields.get("revision", "")
        known = self._revision or 0
        self._revision = max(known, int(number)) if number.isdecimal() else known + 1
        if message.fields.get("node") != self._node:
            self._tasks.start(self._look_at_key(message, is_fresh=is_fresh))

    async def _look_at_key(self, message: Message, *, is_fresh: bool) -> None:
        key_id = message.fields.get("key", "")
        if key_id.isdecimal() and self.on_changed is not None:
            ended = message.fields.get("ended") if is_fresh else None
            closed = await self.on_changed(int(key_id), message.fields.get("ending") or None, ended)
            await self._answers.give(message.id, str(closed))

    def look(self, revision: int) -> None:
        """Compare with the number of changes on the server: an announcement may have been lost, or trimmed unread."""
        if self._revision is not None and self._revision < revision:
            _log.warning("an announcement of a changed key was missed: all keys are checked")
            self._revision = revision
            self._look_at_all()

    def heard(self, revision: int) -> None:
        """Compare with the number that another connection has read: the one for announcements may be stuck."""
        if self._revision is None:
            self._revision = revision  # this node has no clients yet
        elif self._revision < revision:
            self._tasks.start(self._look_later(revision))

    async def _look_later(self, revision: int) -> None:
        await self._clock.sleep(UNDER_WAY_SECONDS)
        self.look(revision)

    def attached(self, revision: int, was_away: bool) -> None:
        """Check all keys after an absence: what was announced meanwhile, or could not be, is not known here."""
        if was_away or self._revision is None:
            self._look_at_all()
            self._revision = revision

    async def watch_alone(self, is_alone: Callable[[], bool]) -> None:
        """Check keys without announcements while none can be made or heard, until cancelled."""
        while True:
            began = self._clock.monotonic()
            if is_alone() and self.on_alone is not None:
                await self.on_alone()
            await self._clock.sleep(max(ALONE_SECONDS, (self._clock.monotonic() - began) * ALONE_SHARE))

    def _look_at_all(self) -> None:
        if self.on_unknown is not None:
            self._tasks.start(self._check_all(self.on_unknown))

    async def _check_all(self, check: Callable[[], Awaitable[None]]) -> None:
        await check()
