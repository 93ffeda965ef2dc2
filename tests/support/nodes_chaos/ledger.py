"""What was acknowledged, received and promised, and what of it was broken. Knows no node and no server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from support.sdk import Listener

BEFORE_SECONDS, AFTER_SECONDS = 3.0, 3.0
"""How long before a loss an event may have been acknowledged that not every node had read."""


class Acknowledged:
    """One event that a node said is stored."""

    def __init__(self, event_id: str, at: float) -> None:
        self.event_id = event_id
        self.at = at


class Subscriber(Listener):
    """An SDK client that goes on elsewhere, and when it was told of gaps."""

    def __init__(self, url: str, key: str) -> None:
        self.gap_times: list[float] = []
        super().__init__(
            url, ("flight.created",), api_key=key, open_timeout=4.0, ping_interval=2.0, ping_timeout=4.0,
            reconnect_interval=0.1, max_reconnect_interval=1.0,
        )  # fmt: skip
        self.client.add_handler("gap", self._note_gap)

    def _note_gap(self, news: Any, timestamp: str) -> None:
        self.gap_times.append(time.monotonic())


class Ledger:
    """The record of one run."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, Acknowledged] = {}
        """By name: publisher and number."""
        self.losses: list[tuple[float, float]] = []
        """From when to when the server was made to lose events."""
        self.lossless: list[tuple[float, float]] = []
        """Rounds in which nothing could be lost: nobody may be told of a gap."""
        self.excesses: Counter[str] = Counter()
        """By fault: how often more clients than the limit were connected for a second."""
        self.revoked = 0
        self.slowest_revocation = 0.0
        """Until the last node had closed, by its own log."""
        self.slowest_seen = 0.0
        """Until the last client knew of it."""
        self.seen_late = 0
        """Closed in time by every node, but a client in this program knew of it later."""
        self.revoked_late: list[float] = []
        """Closed later than a second, although the processes concerned could run for the rest of the time."""
        self.revoked_late_by_machine: list[float] = []
        """Closed later than a second, while the processes concerned waited for a processor: without that, in time."""
        self.unnamed = 0
        """Revocations that were answered without naming a node that had not heard of them."""
        self.closed_after_return: list[float] = []
        """How long after a node was back it closed the connections of a key that was revoked meanwhile."""
        self.closed_while_away = 0
        """How often it had closed them before, because it looked by itself."""
        self.back_late: list[float] = []
        """Closed later than a second after the return of the node."""
        self.back_late_by_machine: list[float] = []
        self.slow: list[str] = []
        """What took so long that it was told."""
        self.longest_silence = 0.0
        self.longest_silence_now = 0.0
        """The same, of the round under way."""
        self.silences: dict[str, float] = {}
        """By fault: the longest time in which no subscriber received anything."""

    def lose(self, since: float) -> None:
        """Note that the server has lost events from a moment until now."""
        self.losses.append((since - BEFORE_SECONDS, time.monotonic() + AFTER_SECONDS))

    def judge(self, subscribers: Sequence[Subscriber]) -> dict[str, Any]:
        """Hold what was received against what was promised."""
        found = Counter[str]()
        for subscriber in subscribers:
            self._judge_one(subscriber, found)
        names = ("lost", "repeated", "out_of_order", "gap_untold", "gap_without_loss", "other_id")
        return {name: found[name] for name in names}

    def _judge_one(self, subscriber: Subscriber, found: Counter[str]) -> None:
        received = [(event["n"], event.id) for event in subscriber.events]
        ids = [_order(event_id) for _, event_id in received]
        found["out_of_order"] += sum(one >= other for one, other in pairwise(ids))
        counts = Counter(name for name, _ in received)
        began = ids[0] if ids else (0, 0)
        for name, acknowledged in self.acknowledged.items():
            if counts[name] == 0 and _order(acknowledged.event_id) > began:
                if not self._is_in_loss(acknowledged.at):
                    found["lost"] += 1
                elif not any(at >= acknowledged.at - BEFORE_SECONDS for at in subscriber.gap_times):
                    found["gap_untold"] += 1
            if counts[name] > 1 and not self._is_in_loss(acknowledged.at):
                found["repeated"] += 1
        for name, event_id in received:
            acknowledged_as = self.acknowledged.get(name)
            if acknowledged_as and acknowledged_as.event_id != event_id and not self._is_in_loss(acknowledged_as.at):
                found["other_id"] += 1
        for at in subscriber.gap_times:
            found["gap_without_loss"] += any(since <= at <= until for since, until in self.lossless)

    def _is_in_loss(self, at: float) -> bool:
        return any(since <= at <= until for since, until in self.losses)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)
