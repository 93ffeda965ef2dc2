"""The data of the live table: the newest lines, totals and rates. Knows no terminal and no clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from swim_server.protocol.positions import POSITION_TYPES, POSITIONS

from swimctl.client.stream_items import (
    Answered,
    Away,
    CaughtUp,
    EventReceived,
    Gap,
    Hinted,
    Lost,
    StreamItem,
    Subscribed,
)
from swimctl.live.ending import reconnected
from swimctl.render.event_row import EventRow, describe, describe_position, positions_of
from swimctl.text import clean

MAX_ROWS = 500
RATE_SECONDS = 10.0
HELP_KEYS = frozenset("?hH")


class Note(NamedTuple):
    """A line about the stream itself, shown between the events."""

    text: str
    style: str


class TailModel:
    """Takes the items of a stream. Its size is bounded, however long it runs."""

    def __init__(self, *, title: str, wanted: str = "", show_positions: bool = False) -> None:
        self.title = title
        """Where the events come from."""
        self.wanted = wanted
        """Channels and filters, as typed; empty when everything is shown."""
        self.rows: deque[EventRow | Note] = deque(maxlen=MAX_ROWS)
        self.totals: Counter[str] = Counter()
        """Events by type."""
        self.positions = 0
        self.clients: int | None = None
        self.state: Literal["connecting", "resuming", "live", "lost", "away"] = "connecting"
        self.reason = ""
        """Why there is no connection."""
        self.retry_at: float | None = None
        """When the next attempt to connect is made, in monotonic seconds."""
        self.paused: list[EventRow | Note] | None = None
        """The lines as they were when the table was paused; None while it is live."""
        self.shows_help = False
        self._show_positions = show_positions
        self._recent: deque[tuple[float, int, int]] = deque()
        """Time, events and positions of the last seconds."""

    def apply(self, item: StreamItem, now: float) -> None:
        """Take one item; ``now`` in monotonic seconds."""
        match item:
            case EventReceived():
                self._take_event(item.event, now)
            case Subscribed():
                self.state = "resuming"
            case CaughtUp():
                self._take_caught_up(item)
            case Hinted():
                self.rows.append(Note(f"hint: {clean(item.hint)}", "yellow"))
            case Gap():
                self.rows.append(Note("— gap: history does not reach back to the last event seen —", "bold red"))
            case Lost():
                self.state, self.reason, self.retry_at = "lost", clean(item.reason), None
            case Away():
                self.state, self.reason, self.retry_at = "away", clean(item.reason), now + item.retry_seconds
            case Answered():
                self._take_answer(item.result)

    def press(self, keys: str) -> None:
        """Handle keys: space pauses the table, ? and h explain the numbers and the keys."""
        for key in keys:
            if key == " ":
                self.paused = None if self.paused is not None else list(self.rows)
            elif key in HELP_KEYS:
                self.shows_help = not self.shows_help

    @property
    def shown(self) -> Sequence[EventRow | Note]:
        """The lines to show: those at the moment it was paused, or the newest."""
        return self.rows if self.paused is None else self.paused

    def settle(self) -> None:
        """Note that history has nothing to send: everything received is live."""
        self.state = "live"

    def rates(self, now: float) -> tuple[float, float]:
        """Return events and positions per second, over the last ten seconds."""
        while self._recent and now - self._recent[0][0] > RATE_SECONDS:
            self._recent.popleft()
        if not self._recent:
            return 0.0, 0.0
        span = max(1.0, min(RATE_SECONDS, now - self._recent[0][0] + 0.5))
        return sum(one[1] for one in self._recent) / span, sum(one[2] for one in self._recent) / span

    @property
    def events(self) -> int:
        """The number of events so far; a batch of positions counts as one."""
        return self.totals.total()

    def family(self, prefix: str) -> int:
        """Return the number of events of one family so far."""
        return sum(number for type, number in self.totals.items() if type.startswith(prefix))

    def _take_event(self, event: Mapping[str, Any], now: float) -> None:
        type = str(event.get("type"))
        if type == "system.heartbeat":
            clients = (event.get("data") or {}).get("connected_clients")
            self.clients = clients if isinstance(clients, int) else self.clients
            return
        self.totals[type] += 1
        moved = self._take_positions(event, type) if type in POSITION_TYPES else 0
        if type not in POSITION_TYPES:
            self.rows.append(describe(event))
        self._recent.append((now, 1, moved))

    def _take_positions(self, event: Mapping[str, Any], type: str) -> int:
        """Count a batch. Its positions become lines only if nothing but positions was asked for."""
        found = positions_of(event) if type == POSITIONS else [event.get("data") or {}]
        self.positions += len(found)
        if self._show_positions:
            self.rows.extend(describe_position(event, position) for position in found[-MAX_ROWS:])
        return len(found)

    def _take_caught_up(self, item: CaughtUp) -> None:
        self.state = "live"
        if not item.is_first:
            self.rows.append(Note(f"— {reconnected(item.recovered)} —", "bold yellow"))

    def _take_answer(self, result: Any) -> None:
        if isinstance(result, dict) and isinstance(result.get("url"), str):
            self.title = clean(result["url"])
        connections = result.get("connections") if isinstance(result, dict) else None
        total = connections.get("total") if isinstance(connections, dict) else None
        self.clients = total if isinstance(total, int) else self.clients
