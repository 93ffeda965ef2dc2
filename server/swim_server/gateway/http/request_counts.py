"""Number of requests over plain HTTP, by route and status; bounded, whatever clients request."""

from __future__ import annotations

from collections import Counter

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
OTHER = "other"
UNREADABLE = "unreadable"
"""The route of requests that can't be parsed."""


class RequestCounts:
    """Counts answers. Statuses are those that the service gives; a path without a route counts as ``other``."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        """By method, route and status."""
        self.in_hand = 0
        """Requests that are not answered yet, including streams."""

    def note(self, method: str, route: str | None, status: int) -> None:
        """Count one answer. ``route``: the pattern that the path matches; None: it matches none."""
        self.answered[method if method in METHODS else OTHER, route or OTHER, status] += 1
