"""What is asked of a stream of events, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class SubscriptionRequest(msgspec.Struct, frozen=True):
    """What is subscribed to, and from where on. At most one of ``after``, ``since``, ``last``."""

    channels: tuple[str, ...]
    filters: Mapping[str, Any] = {}
    after: str | None = None
    since: str | None = None
    last: int | None = None
    state: bool = False
    """Begin with the current state."""

    def to_wire(self, resume_from: str | None, epoch: str | None = None) -> dict[str, Any]:
        """Return the ``subscribe`` message; ``resume_from``, the last event seen, wins over the start asked for.

        ``epoch``: the order of events that ``resume_from`` belongs to, where the service has told one.
        """
        message: dict[str, Any] = {
            "action": "subscribe", "channels": list(self.channels), "filters": dict(self.filters),
        }  # fmt: skip
        if resume_from is not None:
            if epoch is not None:
                message["epoch"] = epoch
            return {**message, "after": resume_from, **({"state": "on_gap"} if self.state else {})}
        if self.state:
            return {**message, "state": True}
        starts = {"after": self.after, "since": self.since, "last": self.last}
        return message | {name: value for name, value in starts.items() if value is not None}


class Subscribed(msgspec.Struct, frozen=True):
    """The server has answered; from here on it sends."""

    greeting: Mapping[str, Any]
    """The data of its ``connected`` message."""
    is_first: bool


class Hinted(msgspec.Struct, frozen=True):
    """The service says that a filter can match nothing that it knows."""

    hint: str


class EventReceived(msgspec.Struct, frozen=True):
    """One event; or a heartbeat, which has no id."""

    event: Mapping[str, Any]
    wire: bytes
    """As it came."""


class StateReceived(msgspec.Struct, frozen=True):
    """A part of the world as it is now, or what came into or left the filters."""

    message: Mapping[str, Any]
    wire: bytes
    """As it came."""


class CaughtUp(msgspec.Struct, frozen=True):
    """All that was stored before the subscription has been sent; what follows is live."""

    recovered: int
    """How many events that was."""
    is_first: bool


class Gap(msgspec.Struct, frozen=True):
    """Events may be missing here: history does not reach back to the last one seen."""


class Lost(msgspec.Struct, frozen=True):
    """The connection ended; it is opened again."""

    reason: str


class Away(msgspec.Struct, frozen=True):
    """It could not be opened again; the next attempt follows."""

    reason: str
    retry_seconds: float
    """Until then."""


class Answered(msgspec.Struct, frozen=True):
    """The answer to a request of one's own."""

    result: Any


StreamItem = Subscribed | Hinted | EventReceived | StateReceived | CaughtUp | Gap | Lost | Away | Answered
