"""Findings, and how often each occurred."""

from __future__ import annotations

from collections import Counter

FAULTS = (
    "lost_silently", "lost_by_provider", "repeated", "reordered", "reused", "wrong_content", "never_published",
    "key_good_again", "key_lost", "undone_setting", "undone_place", "not_started", "stuck", "unreadable",
    "resumed_elsewhere",
)  # fmt: skip
"""None of these may ever be found."""
TOLD = ("lost_but_told", "repeated_but_told", "needless_gap", "set_aside", "turned_away")
"""These are no lies, but better rare."""

EXAMPLES = 5


class Judgement(Counter[str]):
    """How often each fault was found, with some examples in words."""

    def __init__(self) -> None:
        super().__init__()
        self.examples: list[str] = []

    def take(self, other: Judgement) -> None:
        """Add the counts and examples of another one."""
        self.update(other)
        self.examples += other.examples[: EXAMPLES - len(self.examples)]

    def find(self, fault: str, count: int, what: object) -> None:
        """Count a fault; does nothing if ``count`` is 0."""
        if count:
            self[fault] += count
            if len(self.examples) < EXAMPLES:
                self.examples.append(f"{fault}: {what}")
