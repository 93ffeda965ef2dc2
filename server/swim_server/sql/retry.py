"""Retries, for callers that can wait, what a server refuses while it is moving, waking up or overloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, nap, retry_if_exception, stop_before_delay, wait_exponential

from swim_server.sql.database import Repeat
from swim_server.sql.errors import StoreUnavailable

T = TypeVar("T")
OnRepeat = Callable[[StoreUnavailable, float], None]
"""Called before each wait: what went wrong, and how many seconds the wait takes."""

FIRST_WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 60
OVERLOADED_WAIT_SECONDS = 10
"""The minimum that error 40501 asks for."""
_CONFLICT_WAIT_SECONDS = 0.2
_backoff = wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)


def patient(patience_seconds: float, on_repeat: OnRepeat | None, sleep: Callable[[float], None] = nap.sleep) -> Repeat:
    """Return a function that retries a call until it succeeds, fails for good, or ``patience_seconds`` have passed."""

    def repeat(attempt: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(is_worth_waiting),
            wait=wait_seconds,
            stop=stop_before_delay(patience_seconds),
            before_sleep=lambda state: _tell(state, on_repeat),
            reraise=True,
            sleep=sleep,
        )
        return retrying(attempt)

    return repeat


def is_worth_waiting(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    return isinstance(error, StoreUnavailable) and error.is_worth_waiting


def wait_seconds(state: RetryCallState) -> float:
    """Return how long to wait after the last failure."""
    error = _error(state)
    if isinstance(error, StoreUnavailable) and error.repeat_at_once:
        return _CONFLICT_WAIT_SECONDS
    wanted = _backoff(state)
    is_overloaded = isinstance(error, StoreUnavailable) and error.number == 40501
    return max(wanted, OVERLOADED_WAIT_SECONDS) if is_overloaded else wanted


def _tell(state: RetryCallState, on_repeat: OnRepeat | None) -> None:
    error = _error(state)
    if on_repeat is not None and isinstance(error, StoreUnavailable):
        on_repeat(error, state.upcoming_sleep)


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
