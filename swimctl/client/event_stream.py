"""The event stream behind ``tail``: survives restarts of the daemon, neither loses nor repeats events, reports gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

from swimctl.client.connect import (
    KEY_REFUSED,
    Restarting,
    close_refusal,
    is_final,
    message_refusal,
    restart_notice,
    without_advice,
)
from swimctl.client.session import Session, SessionLost, decode
from swimctl.client.stream_items import (
    Answered,
    Away,
    CaughtUp,
    EventReceived,
    Gap,
    Hinted,
    Lost,
    StateReceived,
    StreamItem,
    Subscribed,
    SubscriptionRequest,
)
from swimctl.client.subscribing import subscribe
from swimctl.errors import CommandError, DaemonNotRunning

ASK_SECONDS = 0.2
"""How often the server is asked whether history has been sent completely; clients may ask ten times per second."""
SILENCE_SECONDS = 1.0
"""With a server that does not report it, history counts as complete after this silence."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 3.0
LONGEST_LOCAL_RETRY_SECONDS = 0.4
"""Longest pause between attempts to reach a daemon on this machine, where an attempt costs nothing."""
ALIVE_SECONDS = 90.0
"""Heartbeats come every 30 seconds; after this long without one the connection is dead."""

_ANSWERS = ("connected", "subscribed", "unsubscribed", "pong", "publish_ack")
_NEVER = float("inf")


class EventStream:
    """Opens a session, reads it, and reopens it when it is lost. To be used from one thread."""

    def __init__(
        self,
        open_session: Callable[[], Session],
        wanted: SubscriptionRequest,
        *,
        longest_retry_seconds: float = LONGEST_RETRY_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.wanted = wanted
        self._open_session = open_session
        self._clock = clock
        self._session: Session | None = None
        self._items: deque[StreamItem] = deque()
        self._resume_from: str | None = None
        """The last event returned; before the first one, the newest event when the subscription began."""
        self._epoch: str | None = None
        """The epoch that event ids belong to, as reported by the service."""
        self._is_first = True
        self._caught_up_id: str | None = None
        """While catching up: the newest event that belongs to history."""
        self._is_catching_up = False
        self._recovered = 0
        self._ask_at = _NEVER
        self._heard_at = 0.0
        self._retry_at = 0.0
        self._notice: Restarting | None = None
        """The service's message before it closed the current connection."""
        self._backoff = Backoff(FIRST_RETRY_SECONDS, longest_retry_seconds, clock=clock)
        self._request: int | None = None

    def open(self) -> None:
        """Connect and subscribe. Raises CommandError: on the first attempt, every failure is reported.

        Only a restarting service is not a failure: ``next`` connects when it is back.
        """
        try:
            self._connect()
        except Restarting as notice:
            self._wait_for(notice)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._session is not None:
            self._session.close()
            self._session = None

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""
        return self._session is not None

    @property
    def is_catching_up(self) -> bool:
        """Whether stored events are still being received."""
        return self._is_catching_up

    @property
    def unfinished_recovery(self) -> CaughtUp | None:
        """The events recovered so far, when the caller stops before recovery after a lost connection is complete."""
        return CaughtUp(self._recovered, False) if self._is_catching_up and not self._is_first else None

    def ask(self, method: str) -> None:
        """Send a request to the daemon; its answer arrives as Answered. Does nothing while one is pending."""
        if self._session is not None and self._request is None:
            try:
                self._request = self._session.request(method)
            except SessionLost as lost:
                self._lose(lost)

    def next(self, timeout: float) -> StreamItem | None:
        """Return the next item, or None if none arrives within ``timeout`` seconds.

        Raises CommandError if reconnecting is pointless, for example because the key is no longer valid.
        """
        deadline = self._clock.monotonic() + timeout
        while not self._items:
            left = deadline - self._clock.monotonic()
            if self._session is None:
                self._reopen(max(0.0, left))
            else:
                self._read(self._session, max(0.0, left))
            if left <= 0:
                break
        return self._items.popleft() if self._items else None

    # Connecting.

    def _reopen(self, timeout: float) -> None:
        wait = self._retry_at - self._clock.monotonic()
        if wait > 0:
            self._clock.block(min(wait, timeout))
            return
        try:
            self._connect()
        except Restarting as notice:
            self._wait_for(notice)
        except CommandError as error:
            if is_final(error):
                raise
            pause = self._backoff.fail()
            self._retry_at = self._clock.monotonic() + pause
            self._items.append(Away("stopped" if isinstance(error, DaemonNotRunning) else error.problem, pause))

    def _wait_for(self, notice: Restarting) -> None:
        """Schedule the reconnect at the time a restarting service asks for, later each time it keeps restarting."""
        pause = max(_pause(notice.retry_seconds), self._backoff.fail())
        self._retry_at = self._clock.monotonic() + pause
        self._items.append(Away(notice.problem, pause))

    def _connect(self) -> None:
        message = {**self.wanted.to_wire(self._resume_from, self._epoch), "notices": True}
        session = self._open_session()
        try:
            accepted = subscribe(session, message, self._clock)
        except BaseException:
            session.close()
            raise
        self._take_epoch(accepted.greeting.get("epoch"))
        self._session, self._notice = session, None
        self._request = None
        self._heard_at = self._clock.monotonic()
        self._backoff.succeed()
        self._items.append(Subscribed(accepted.greeting, self._is_first))
        if self._is_first:
            self._items.extend(Hinted(hint) for hint in accepted.hints)
        if accepted.has_gap and message.get("after") is not None:
            self._items.append(Gap())
        if message.keys() & {"after", "since", "last"}:
            self._is_catching_up, self._recovered, self._caught_up_id = True, 0, accepted.last_event_id
            self._ask_at = self._clock.monotonic()
        elif self._resume_from is None:
            self._resume_from = accepted.last_event_id
            self._is_first = False

    def _take_epoch(self, epoch: object) -> None:
        """Note the epoch of the event ids: ids of different epochs can't be compared."""
        former, self._epoch = self._epoch, epoch if isinstance(epoch, str) else None
        if None not in (former, self._epoch) and former != self._epoch:
            self._resume_from = None

    # Reading.

    def _read(self, session: Session, timeout: float) -> None:
        try:
            if self._is_catching_up and self._clock.monotonic() >= self._ask_at:
                self._ask_at = _NEVER
                session.send({"action": "status"})
            payload = session.receive(min(timeout, max(0.0, self._ask_at - self._clock.monotonic()), SILENCE_SECONDS))
        except SessionLost as lost:
            self._lose(lost)
            return
        now = self._clock.monotonic()
        if payload is not None:
            self._heard_at = now
            self._take(decode(payload), payload)
        elif now - self._heard_at > ALIVE_SECONDS:
            self._lose(SessionLost(None, "nothing was received for too long"))
        elif self._is_catching_up and now - self._heard_at > SILENCE_SECONDS:
            self._finish_catching_up()

    def _take(self, message: dict[str, Any], payload: bytes) -> None:
        type = message.get("type")
        if "jsonrpc" in message:
            if message.get("id") == self._request:
                self._request = None
                self._items.append(Answered(message.get("result")))
        elif type == "status":
            self._take_status(message.get("data") or {})
        elif type == "error":
            self._notice = restart_notice(message) or self._notice
            if message.get("code") in ("AUTH_FAILED", "FORBIDDEN"):
                raise message_refusal(message)
        elif isinstance(type, str) and type.partition(".")[0] == "state":
            self._items.append(StateReceived(message, payload))
        elif type not in _ANSWERS and isinstance(message.get("data"), dict):
            self._take_event(message, payload)

    def _take_event(self, message: dict[str, Any], payload: bytes) -> None:
        event_id = message.get("id")
        if isinstance(event_id, str):
            if not _is_after(event_id, self._resume_from):
                return  # received before: never return an event twice
            if self._is_catching_up and _is_after(event_id, self._caught_up_id):
                self._finish_catching_up()
            self._recovered += self._is_catching_up
            self._resume_from = event_id
        self._items.append(EventReceived(message, payload))

    def _take_status(self, data: Mapping[str, Any]) -> None:
        if data.get("catching_up"):
            self._ask_at = self._clock.monotonic() + ASK_SECONDS
        elif "catching_up" in data and self._is_catching_up:
            self._finish_catching_up()

    def _finish_catching_up(self) -> None:
        self._is_catching_up, self._ask_at = False, _NEVER
        if self._resume_from is None:
            self._resume_from = self._caught_up_id
        self._items.append(CaughtUp(self._recovered, self._is_first))
        self._is_first = False

    def _lose(self, lost: SessionLost) -> None:
        self.close()
        self._is_catching_up, self._is_first, self._ask_at = False, False, _NEVER
        if lost.code == KEY_REFUSED:
            raise close_refusal(lost.code, lost.reason)
        notice, self._notice = self._notice, None
        advised = lost.retry_seconds
        if advised is None and notice is not None:
            advised = notice.retry_seconds  # the close frame with the delay was lost
        self._retry_at = self._clock.monotonic() + _pause(advised)
        told = without_advice(lost.reason) or (notice.problem if notice is not None else "")
        self._items.append(Lost(told or "the connection was lost"))


def _pause(advised_seconds: float | None) -> float:
    return min(advised_seconds or 0.0, LONGEST_RETRY_SECONDS)


def _is_after(event_id: str, other: str | None) -> bool:
    """Compare ids in event order; anything that is not an id counts as newer."""
    if other is None:
        return True
    try:
        return _key(event_id) > _key(other)
    except ValueError:
        return event_id != other


def _key(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)
