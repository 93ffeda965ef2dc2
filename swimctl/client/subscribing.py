"""The first exchange on a connection, before any event: greeting, subscription, answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swim_server.concurrency.clock import Clock

from swimctl.client.connect import (
    KEY_REFUSED,
    SERVICE_RESTART,
    Restarting,
    close_refusal,
    message_refusal,
    restart_notice,
    without_advice,
)
from swimctl.client.session import Session, SessionLost, decode
from swimctl.errors import CommandFailed

ANSWER_SECONDS = 15.0


class Accepted(NamedTuple):
    """The service's answer to a subscription."""

    greeting: Mapping[str, Any]
    """The data of its ``connected`` message."""
    hints: tuple[str, ...]
    """Filters that can match nothing the service knows of."""
    has_gap: bool
    """History does not reach back to the event that the subscription wanted to continue after."""
    last_event_id: str | None
    """The newest event there was when the subscription began."""


def subscribe(session: Session, message: Mapping[str, object], clock: Clock) -> Accepted:
    """Wait for the greeting, send ``message`` and wait for its answer.

    Raises CommandError; Restarting if the service is about to come back.
    """
    greeting = _await(session, "connected", clock)
    session.send(message)
    answer = _await(session, "subscribed", clock)
    hints = answer.get("hints")
    return Accepted(
        greeting=greeting.get("data") or {},
        hints=tuple(map(str, hints)) if isinstance(hints, list) else (),
        has_gap=bool(answer.get("gap")),
        last_event_id=answer.get("last_event_id"),
    )


def _await(session: Session, type: str, clock: Clock) -> dict[str, Any]:
    """Receive until a message of this type arrives. No event arrives before it, as nothing is subscribed to yet."""
    deadline = clock.monotonic() + ANSWER_SECONDS
    notice: Restarting | None = None
    while (left := deadline - clock.monotonic()) > 0:
        try:
            payload = session.receive(left)
        except SessionLost as lost:
            if lost.code != KEY_REFUSED and (notice is not None or lost.code == SERVICE_RESTART):
                raise notice or Restarting(without_advice(lost.reason), lost.retry_seconds) from None
            raise close_refusal(lost.code, lost.reason) from None
        if payload is None:
            break
        message = decode(payload)
        if message.get("type") == type:
            return message
        if (told := restart_notice(message)) is not None:
            notice = told
            continue
        if message.get("type") == "error" and message.get("code") != "HISTORY_UNAVAILABLE":
            raise message_refusal(message)
    raise CommandFailed(f"the service did not answer within {ANSWER_SECONDS:g} s", "see: swimctl logs")
