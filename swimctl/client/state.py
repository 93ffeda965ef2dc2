"""The current state, requested as any client does: with a subscription that begins with state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

from swimctl.client.connect import SERVICE_RESTART, Restarting, close_refusal, message_refusal, restart_notice
from swimctl.client.session import SessionLost, decode
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.client.session import Session

ANSWER_SECONDS = 30.0
RETRY_SECONDS = 0.2
"""How long to wait before asking a restarting service again."""


@dataclass
class WorldState:
    """The state at one moment: entries by kind."""

    as_of: str = ""
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class StateReader:
    """Requests the state as often as wanted, and again if the service restarts meanwhile. A context manager."""

    def __init__(
        self,
        open_session: Callable[[], Session],
        channels: Sequence[str],
        filters: Mapping[str, Any],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._open_session = open_session
        self._channels = list(channels)
        self._filters = dict(filters)
        self._clock = clock
        self._session: Session | None = None

    def __enter__(self) -> StateReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens a new one. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def ask(self) -> WorldState:
        """Request the state and read all of it. Raises CommandError."""
        deadline = self._clock.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._ask(deadline)
            except Restarting as notice:
                pause = notice.retry_seconds or RETRY_SECONDS
                if self._clock.monotonic() + pause >= deadline:
                    raise
            self._clock.block(pause)

    def _ask(self, deadline: float) -> WorldState:
        is_kept = self._session is not None
        session = self._session or self._open_session()
        self._session = None
        try:
            found = self._fetch(session, deadline)
        except SessionLost as lost:
            session.close()
            if is_kept or lost.code == SERVICE_RESTART:  # the key was accepted before: ask the process that serves now
                raise Restarting(lost.reason or "the connection broke", lost.retry_seconds) from None
            raise close_refusal(lost.code, lost.reason) from None
        except BaseException:
            session.close()
            raise
        self._session = session
        return found

    def _fetch(self, session: Session, deadline: float) -> WorldState:
        if not session.is_greeted:
            self._next(session, deadline, "connected")
            session.is_greeted = True
        session.send({"action": "subscribe", "channels": self._channels, "filters": self._filters, "state": True})
        answer = self._next(session, deadline, "subscribed")
        if "state_as_of" not in answer:
            raise CommandFailed(
                "the service is too old to report the current state", "upgrade it, or use: swimctl tail"
            )
        session.send({"action": "unsubscribe"})  # live events would only pile up until the next request
        found = WorldState()
        while True:
            message = self._next(session, deadline, "state")
            found.as_of, kind = str(message["as_of"]), str(message["kind"])
            found.entries.setdefault(kind, []).extend(message["data"][kind])
            if message.get("is_last"):
                break
        self._next(session, deadline, "unsubscribed")
        return found

    def _next(self, session: Session, deadline: float, type: str) -> dict[str, Any]:
        """Wait for a message of this type and skip others. Raises CommandError for a refusal."""
        while (left := deadline - self._clock.monotonic()) > 0:
            payload = session.receive(left)
            message = decode(payload) if payload is not None else {}
            if message.get("type") == type:
                return message
            if message.get("type") == "error" and message.get("code") != "EVENT_TOO_LARGE":
                raise restart_notice(message) or message_refusal(message)
        raise CommandFailed(f"the service did not send its state within {ANSWER_SECONDS:g} s", "see: swimctl logs")
