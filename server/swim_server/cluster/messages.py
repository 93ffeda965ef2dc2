"""Follows the messages between nodes, on a connection of its own: no event that is being copied is in their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.entries import Entry, read_id
from swim_server.brokers.redis_stream.tail import Message, read_message
from swim_server.concurrency.backoff import Backoff
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from swim_server.brokers.redis_stream.names import Names
    from swim_server.brokers.redis_stream.server import Server
    from swim_server.brokers.redis_stream.session import Session
    from swim_server.cluster.line import Line
    from swim_server.concurrency.clock import Clock

READ_MESSAGES = 1000
LOOK_MS = 500
OVERDUE_SECONDS = 0.5
"""How much later than that an answer may come before the connection is opened anew."""
CONNECT_SECONDS = 0.5
"""How long connecting may take: what was sent while the network was cut is not sent again for seconds."""
PATIENT_ATTEMPT = 4
"""With TLS, whose greeting takes long on a busy machine, each such attempt may take the usual time."""
ROLE_SECONDS = 1.0
"""How often it is checked that the server has not become a replica."""
DEAF_SECONDS = 2.0
FRESH_SECONDS = 3.0
"""A message is new if this node had read everything so short a time ago; else it was away, and may be late."""

_log = get_logger("cluster")


class MessageTail:
    """Reads the stream of messages until cancelled; whatever happens, it connects anew and continues."""

    def __init__(self, server: Server, names: Names, clock: Clock) -> None:
        self.on_message: Callable[[Message, bool], None] | None = None
        """Called with each message, and whether it is new."""
        self.on_attached: Callable[[int, bool], None] | None = None
        """Called with the number of key changes that nodes have announced so far, and whether this node was away."""
        self.on_revision: Callable[[int], None] | None = None
        """Called twice a second with that number, after all messages that belong to it."""
        self.trouble: str | None = None
        """Why no messages can be read at the moment."""
        self._server = server
        self._names = names
        self._clock = clock
        self._was_away = False
        self._role_checked_at = float("-inf")
        self._position: bytes | None = None
        self._read_at: float | None = None
        """When it last had every message, by the monotonic clock."""

    @property
    def is_deaf(self) -> bool:
        """Tell whether messages of other nodes do not arrive at the moment."""
        return self._read_at is None or self._clock.monotonic() - self._read_at > DEAF_SECONDS

    async def begin(self, line: Line) -> None:
        """Read from here on, when it runs. Raises BrokerUnavailable."""
        last = await line.call("XREVRANGE", self._names.control, "+", "-", "COUNT", 1)
        self._position = last[0][0] if last else b"0-0"
        self._read_at = self._clock.monotonic()

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = Backoff(0.05, 0.2, clock=self._clock)
        while True:
            try:
                await self._follow(backoff)
            except BrokerUnavailable as error:
                self._tell(error.reason)
            except Exception as error:  # noqa: BLE001 - it must go on whatever happened; the log has it
                _log.exception("following the messages of other nodes failed")
                self._tell(repr(error))
            self._was_away = True
            await self._clock.sleep(backoff.fail())

    def _tell(self, reason: str) -> None:
        if reason != self.trouble:
            self.trouble = reason
            _log.warning("no messages of other nodes can be read", reason=reason)

    async def _follow(self, backoff: Backoff) -> None:
        """Read from one connection, until the server has begun anew."""
        is_tls = self._server.address.url.startswith("rediss")
        is_patient = is_tls and backoff.failures % PATIENT_ATTEMPT == PATIENT_ATTEMPT - 1
        session = await self._server.open(self._names.state, connect_seconds=None if is_patient else CONNECT_SECONDS)
        try:
            epoch = await self._attach(session)
            self.trouble = None
            backoff.succeed()
            while await self._read(session, epoch):
                pass
        finally:
            await session.close()

    async def _attach(self, session: Session) -> bytes | None:
        """Continue after the last message that was read; after the newest on a server that lost it, or is behind."""
        last, (epoch, revision) = await session.calls(
            ("XREVRANGE", self._names.control, "+", "-", "COUNT", 1),
            ("HMGET", self._names.state, "epoch", "revision"),
        )
        newest: bytes = last[0][0] if last else b"0-0"
        if self._position is None or read_id(self._position) > read_id(newest):
            self._position = newest
        if self.on_attached is not None:
            self.on_attached(int(revision or 0), self._was_away)
        found: bytes | None = epoch
        return found

    async def _read(self, session: Session, epoch: bytes | None) -> bool:
        """Take what is there, then wait for more; False if another order of ids has begun."""
        assert self._position is not None, "it is attached"
        words = ("STREAMS", self._names.control, self._position)
        # The number is read before the messages: those that it counts are there, or lost.
        (found, revision), answer = await session.calls(
            ("HMGET", self._names.state, "epoch", "revision"), ("XREAD", "COUNT", READ_MESSAGES, *words)
        )
        if found != epoch:
            return False
        for _, entries in answer or ():
            self._take(entries)
        if self._clock.monotonic() >= self._role_checked_at + ROLE_SECONDS:
            await session.check_role()
            self._role_checked_at = self._clock.monotonic()
        self._read_at = self._clock.monotonic()
        if self.on_revision is not None:
            self.on_revision(int(revision or 0))
        timeout = LOOK_MS / 1000 + OVERDUE_SECONDS
        words = ("STREAMS", self._names.control, self._position)
        answer = await session.call("XREAD", "COUNT", READ_MESSAGES, "BLOCK", LOOK_MS, *words, timeout=timeout)
        for _, entries in answer or ():
            self._take(entries)
        return True

    def _take(self, entries: list[Entry]) -> None:
        is_fresh = self._read_at is not None and self._clock.monotonic() - self._read_at < FRESH_SECONDS
        for entry in entries:
            self._position = entry[0]
            if self.on_message is not None:
                self.on_message(read_message(entry), is_fresh)
