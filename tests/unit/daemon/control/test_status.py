"""What status shows about a source, and about how the process was started."""

from __future__ import annotations

import time

from swim_server.daemon.control.status import build_source
from swim_server.sources.source import SourceStatus


def test_source_tells_what_it_rejected_and_how_old_its_feed_is() -> None:
    status = SourceStatus(
        name="feed",
        kind="vatsim",
        state="running",
        last_success_monotonic=time.monotonic() - 20,
        details={"feed_age_seconds": 15.0, "rejected": 3},
    )
    found = build_source(status)
    assert found.rejected == 3
    assert found.feed_age_seconds is not None
    assert 35 <= found.feed_age_seconds < 40, "it has grown older since the feed was read"
    assert found.details == {"feed_age_seconds": 15.0, "rejected": 3}


def test_source_without_a_feed_tells_no_age() -> None:
    found = build_source(SourceStatus(name="drop", kind="drop", details={"file": None}))
    assert (found.rejected, found.feed_age_seconds, found.last_event_age_seconds) == (0, None, None)
