"""Whether the service is ready for clients, depending on its sources and its state."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from swim_server.daemon.readiness import build_readiness
from swim_server.sources.source import SourceStatus


def checks(
    *ages: float | None, within: float | None = None, is_loaded: bool = True, is_closed: bool = False
) -> dict[str, str]:
    """What is said with sources whose last events are so many seconds old."""
    statuses = [SourceStatus(name=f"s{number}", kind="drop", state="running") for number in range(len(ages))]
    for status, age in zip(statuses, ages, strict=True):
        status.last_event_monotonic = None if age is None else time.monotonic() - age
    keys = SimpleNamespace(status=lambda: SimpleNamespace(problem=None))
    broker = SimpleNamespace(counters=SimpleNamespace(last_error=None))
    readiness = build_readiness(
        cast(Any, SimpleNamespace(is_closed=is_closed)), cast(Any, keys), cast(Any, broker), lambda: statuses,
        is_state_loaded=lambda: is_loaded, event_within_seconds=lambda: within,
    )  # fmt: skip
    return readiness.document()[1]


@pytest.mark.parametrize(
    ("ages", "within", "said"),
    [
        ((), None, "ok"),
        ((1000.0,), None, "ok"),
        ((1000.0, 1.0), 60, "ok"),
        ((1000.0, None), 60, "no source has published anything for 60 s"),
        ((None,), 60, "no source has published anything for 60 s"),
        ((), 60, "no source has published anything for 60 s"),
    ],
)
def test_some_source_should_have_told_something_within_what_is_expected(
    ages: tuple[float | None, ...], within: float | None, said: str
) -> None:
    assert checks(*ages, within=within)["sources"] == said


def test_not_ready_while_the_state_is_loaded_or_nobody_is_let_in() -> None:
    assert checks(is_loaded=False)["state"] == "the state is being loaded"
    assert checks(is_closed=True)["clients"].startswith("no clients are admitted")
    assert set(checks().values()) == {"ok"}
