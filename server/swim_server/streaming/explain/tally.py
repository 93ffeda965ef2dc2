"""What a subscription would have received in a range of history, and what stopped the rest. Pure."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.protocol import explanation
from swim_server.protocol.channels import matches
from swim_server.protocol.positions import POSITIONS

if TYPE_CHECKING:
    from swim_server.protocol.events import Event
    from swim_server.protocol.explanation import FilterExplanation
    from swim_server.streaming.subscription import Subscription

EXAMPLES = 3


class ClauseTally(msgspec.Struct, kw_only=True):
    """What one clause did."""

    kind: str
    wanted: Any
    stopped: int = 0
    """Events that passed the clauses before it but not this one."""
    alone: int = 0
    """Events stopped by this clause alone: without it, they would be sent."""


class Tally:
    """Counts event by event. A batch of positions counts as one event, which is sent if one position passes."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.looked_at = 0
        self.passed = 0
        self.other_types: Counter[str] = Counter()
        """Events of types that are not subscribed to."""
        self.clauses: dict[str, ClauseTally] = {}
        self.positions = 0
        self.positions_passed = 0
        self.last_ids: deque[str] = deque(maxlen=EXAMPLES)
        """The newest events that passed."""
        self._is_selected: dict[str, bool] = {}
        empty = explanation.explain(subscription.filters, "", {})
        for clause in empty.clauses:
            self.clauses[clause.kind] = ClauseTally(kind=clause.kind, wanted=clause.wanted)

    def add(self, event: Event) -> None:
        """Count an event."""
        self.looked_at += 1
        if not self._selects(event.type):
            self.other_types[event.type] += 1
            return
        filters = self.subscription.filters
        if event.type != POSITIONS and filters.passes(event.type, event.data):
            self._pass(event)
            return
        found = explanation.explain(filters, event.type, event.data)
        self.positions += found.positions or 0
        self.positions_passed += found.remaining or 0
        if found.passes:
            self._pass(event)
            return
        stopped_by = found.stopped_by
        assert stopped_by is not None, "what does not pass is stopped by a clause"
        self.clauses[stopped_by.kind].stopped += 1
        for kind in self._alone(found, event):
            self.clauses[kind].alone += 1

    def _alone(self, found: FilterExplanation, event: Event) -> list[str]:
        """Return the clauses without which the event would pass."""
        if found.positions is None:
            kinds = [clause.kind for clause in found.clauses if not clause.passes]
            return kinds if len(kinds) == 1 else []
        filters = self.subscription.filters
        kinds = [clause.kind for clause in found.clauses]
        return [kind for kind in kinds if explanation.without(filters, kind).passes(event.type, event.data)]

    def _pass(self, event: Event) -> None:
        self.passed += 1
        self.last_ids.append(str(event.id))

    def _selects(self, event_type: str) -> bool:
        selected = self._is_selected.get(event_type)
        if selected is None:
            selected = any(matches(channel, event_type) for channel in self.subscription.channels)
            self._is_selected[event_type] = selected
        return selected

    def document(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        return {
            **self.subscription.to_wire(),
            "looked_at": self.looked_at,
            "passed": self.passed,
            "not_subscribed": dict(self.other_types.most_common()),
            "clauses": [msgspec.to_builtins(clause) for clause in self.clauses.values()],
            "positions": self.positions,
            "positions_passed": self.positions_passed,
            "last_ids": list(self.last_ids),
        }
