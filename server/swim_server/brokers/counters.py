"""What a broker counts and remembers of its own work, for ``swimctl status`` and the metrics."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """What the broker has done since it was built."""

    events_published: int = 0
    """New events, as publishers count them."""
    events_stored: int = 0
    """New rows of history: a large batch of positions is stored as several."""
    duplicates: int = 0
    commits: int = 0
    failures: int = 0
    """Commits that failed, and deliveries that raised."""
    events_pruned: int = 0
    last_commit_seconds: float = 0.0
    last_error: str | None = None
    """Why history can't be used at the moment; None once it works again."""
    checkpoint_error: str | None = None
    """Why the write-ahead log can't be checkpointed at the moment; it grows meanwhile."""
    rotten: int = 0
    """Ranges found since the start that no longer hold what was stored."""
