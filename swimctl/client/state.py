"""The world as it is now, asked for as any client does: a subscription that begins with state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

from swimctl.client.connect import close_refusal, message_refusal
from swimctl.client.session import SessionLost, decode
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.client.session import Session

ANSWER_SECONDS = 30.0


@dataclass
class WorldState:
    """What there is at one moment: entries by kind."""

    as_of: str = ""
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def fetch_state(
    session: Session, channels: Sequence[str], filters: Mapping[str, Any], *, clock: Clock = SYSTEM_CLOCK
) -> WorldState:
    """Ask for the state and read it to its end. Raises CommandError."""
    deadline = clock.monotonic() + ANSWER_SECONDS
    if not session.is_greeted:
        _next(session, deadline, clock, "connected")
        session.is_greeted = True
    session.send({"action": "subscribe", "channels": list(channels), "filters": dict(filters), "state": True})
    answer = _next(session, deadline, clock, "subscribed")
    if "state_as_of" not in answer:
        raise CommandFailed("the service is too old to report the current state", "upgrade it, or use: swimctl tail")
    found = WorldState()
    while True:
        message = _next(session, deadline, clock, "state")
        found.as_of, kind = str(message["as_of"]), str(message["kind"])
        found.entries.setdefault(kind, []).extend(message["data"][kind])
        if message.get("is_last"):
            return found


def _next(session: Session, deadline: float, clock: Clock, type: str) -> dict[str, Any]:
    """Wait for a message of a type; what else comes is left out. Raises CommandError for a refusal."""
    while (left := deadline - clock.monotonic()) > 0:
        try:
            payload = session.receive(left)
        except SessionLost as lost:
            raise close_refusal(lost.code, lost.reason) from None
        message = decode(payload) if payload is not None else {}
        if message.get("type") == type:
            return message
        if message.get("type") == "error" and message.get("code") != "EVENT_TOO_LARGE":
            raise message_refusal(message)
    raise CommandFailed(f"the service did not send its state within {ANSWER_SECONDS:g} s", "see: swimctl logs")
