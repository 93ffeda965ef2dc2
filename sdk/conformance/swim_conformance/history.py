"""The events of a scripted server, and which of them each subscription receives. Pure: no sockets, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIRST_MS = 1_768_573_815_000
TIMESTAMP = "2026-01-16T14:30:15.123Z"
DEFAULT_TYPE = "flight.departed"
STATE_ROWS = 2

Message = dict[str, Any]


def id_order(event_id: str) -> tuple[int, int]:
    """Return the sort key of an event id; (0, 0) for anything else."""
    milliseconds, _, sequence = event_id.partition("-")
    return (int(milliseconds), int(sequence)) if milliseconds.isdigit() and sequence.isdigit() else (0, 0)


def wants(channels: Iterable[str], event_type: str) -> bool:
    """Return True if one of these channels includes a type."""
    return any(
        channel in ("*", event_type) or (channel.endswith(".*") and event_type.startswith(channel[:-1]))
        for channel in channels
    )


class History:
    """All events of one scripted server; the field ``n`` of their data numbers them from 1."""

    def __init__(self, *, has_ids: bool = True, epoch: str | None = None) -> None:
        self.has_ids = has_ids
        """False: the former service, whose events have no ids."""
        self.epoch = epoch
        """The name of this epoch; if set, clients are told."""
        self.events: list[Message] = []
        self.ids: dict[int, str] = {}
        """The id of each event by its number, including former epochs."""
        self.flights: list[Message] = []
        """The state sent to clients that ask for it."""
        self._count = 0
        self._next_ms = FIRST_MS
        self._forgotten: tuple[int, int] = (0, 0)

    @property
    def newest_id(self) -> str:
        """The id of the newest event; before the first event, an id just below it."""
        return self.events[-1]["id"] if self.events else f"{self._next_ms - 1}-0"

    def add(self, event_type: str = DEFAULT_TYPE, data: Mapping[str, Any] | None = None) -> Message:
        """Store the next event. ``data`` is merged into its own; ``filler_bytes`` in it enlarges the message."""
        self._count += 1
        content = {"n": self._count, **(data or {})}
        if isinstance(content.get("filler_bytes"), int):
            content["filler"] = "x" * content["filler_bytes"]
        event: Message = {"type": event_type, "timestamp": TIMESTAMP, "data": content}
        event["id"] = self.ids[self._count] = f"{self._next_ms}-0"
        self._next_ms += 1
        self.events.append(event)
        return event

    def shown(self, event: Message) -> Message:
        """Return an event as clients receive it."""
        return event if self.has_ids else {name: value for name, value in event.items() if name != "id"}

    def state(self) -> list[Message]:
        """Build the state messages as of the newest event, with two flights each."""
        rows = self.flights
        parts = [rows[start : start + STATE_ROWS] for start in range(0, len(rows), STATE_ROWS)] or [[]]
        common = {"type": "state", "as_of": self.newest_id, "kind": "flights"}
        return [
            {**common, "part": number, "is_last": number == len(parts), "data": {"flights": part}}
            for number, part in enumerate(parts, 1)
        ]

    def forget(self) -> None:
        """Drop all events before the newest one."""
        self._forgotten = id_order(self.newest_id)

    def begin_epoch(self, name: str, first_ms: int) -> None:
        """Begin a new epoch of ids: stored events are gone, and new ids can't be compared with old ones."""
        self.epoch, self.events, self._next_ms, self._forgotten = name, [], first_ms, (0, 0)

    def is_in_this_epoch(self, request: Message) -> bool:
        """Return True if the ids that a client names belong to the current epoch."""
        return self.epoch is None or request.get("epoch") in (None, self.epoch)

    def has_gap(self, request: Message) -> bool:
        """Return True if a ``subscribe`` asks for more than is stored."""
        after = request.get("after")
        if after is None:
            return False
        return (
            not self.is_in_this_epoch(request)
            or id_order(after) > id_order(self.newest_id)
            or id_order(after) < self._forgotten
        )

    def missed(self, request: Message) -> list[Message]:
        """Return the events that a ``subscribe`` asks for, regardless of its channels."""
        if "last" in request:
            return self.events[-request["last"] :] if request["last"] else []
        if "since" in request:
            return list(self.events)
        after = request.get("after")
        if after is None:
            return []
        # Another epoch's ids say nothing: everything there is comes after them.
        start = id_order(after) if self.is_in_this_epoch(request) else (0, 0)
        if start > id_order(self.newest_id):
            start = (0, 0)
        return [event for event in self.events if id_order(event["id"]) > max(start, self._forgotten)]
