"""What an event stream is asked for, and the items that it yields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class SubscriptionRequest(msgspec.Struct, frozen=True):
    """What to subscribe to, and where to begin: at most one of ``after``, ``since`` and ``last``."""

    channels: tuple[str, ...]
    filters: Mapping[str, Any] = {}
    after: str | None = None
    since: str | None = None
    last: int | None = None
    state: bool = False
    """Begin with the current state."""

    def to_wire(self, resume_from: str | None, epoch: str | None = None) -> dict[str, Any]:
        """Return the ``subscribe`` message; ``resume_from``, the last event seen, overrides the requested start.

        ``epoch``: the epoch that ``resume_from`` belongs to, if the service reported one.
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
    """The server accepted the subscription; events follow."""

    greeting: Mapping[str, Any]
    """The data of its ``connected`` message."""
    is_first: bool


class Hinted(msgspec.Struct, frozen=True):
    """The service says that a filter matches nothing it knows."""

    hint: str


class EventReceived(msgspec.Struct, frozen=True):
    """One event, or a heartbeat, which has no id."""

    event: Mapping[str, Any]
    wire: bytes
    """The message as received."""


class StateReceived(msgspec.Struct, frozen=True):
    """A part of the current state, or an entry that entered or left the filters."""

    message: Mapping[str, Any]
    wire: bytes
    """The message as received."""


class CaughtUp(msgspec.Struct, frozen=True):
    """All events stored before the subscription have been received; live events follow."""

    recovered: int
    """How many events were recovered."""
    is_first: bool


class Gap(msgspec.Struct, frozen=True):
    """Events may be missing here: history does not reach back to the last event seen."""


class Lost(msgspec.Struct, frozen=True):
    """The connection ended and will be reopened."""

    reason: str


class Away(msgspec.Struct, frozen=True):
    """Reconnecting failed; another attempt follows."""

    reason: str
    retry_seconds: float
    """Time until the next attempt."""


class Answered(msgspec.Struct, frozen=True):
    """The answer to a request of the caller."""

    result: Any


StreamItem = Subscribed | Hinted | EventReceived | StateReceived | CaughtUp | Gap | Lost | Away | Answered
