"""What is retried, for how long, and with which pauses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from swim_server.keys.errors import KeyNotFound
from swim_server.sql.errors import OutcomeUnknown, StoreMisconfigured, StoreUnavailable
from swim_server.sql.retry import patient

WAKING = StoreUnavailable("waking up", number=40613)


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it was waited; the clock that measures patience goes on by as much."""
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.time.monotonic", lambda: 1_000.0 + sum(pauses))
    return pauses


def test_pauses_begin_with_five_seconds_and_grow_to_a_minute(pauses: list[float]) -> None:
    repeat = patient(1_000, None, pauses.append)
    assert repeat(failing(*[WAKING] * 6)) == "done"
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_overloaded_server_is_left_alone_for_ten_seconds(pauses: list[float]) -> None:
    assert patient(100, None, pauses.append)(failing(StoreUnavailable("busy", number=40501))) == "done"
    assert pauses == [10]


def test_conflict_is_repeated_soon(pauses: list[float]) -> None:
    conflict = StoreUnavailable("deadlock", number=1205, repeat_at_once=True)
    assert patient(100, None, pauses.append)(failing(conflict)) == "done"
    assert pauses == [0.2]


def test_patience_ends_before_it_is_used_up(pauses: list[float]) -> None:
    with pytest.raises(StoreUnavailable, match="waking up"):
        patient(30, None, pauses.append)(failing(*[WAKING] * 9))
    assert pauses == [5, 10]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("silent"),
        OutcomeUnknown("gone at the commit", number=40197),
        StoreMisconfigured("login refused"),
        KeyNotFound(7),
    ],
)
def test_what_waiting_does_not_mend_is_raised_at_once(pauses: list[float], error: Exception) -> None:
    with pytest.raises(type(error)):
        patient(100, None, pauses.append)(failing(error))
    assert pauses == []


def test_each_wait_is_announced(pauses: list[float]) -> None:
    told: list[tuple[int | None, float]] = []
    patient(100, lambda error, seconds: told.append((error.number, seconds)), pauses.append)(failing(WAKING, WAKING))
    assert told == [(40613, 5), (40613, 10)]
