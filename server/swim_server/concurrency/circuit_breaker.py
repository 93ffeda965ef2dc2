"""Keeps callers away from a failing dependency: calls are refused for a while, then one tries whether it is back."""

from __future__ import annotations

from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock


class CircuitBreaker:
    """Closed while calls succeed, open for a pause after a failure, half-open while one trial call is under way."""

    def __init__(
        self, *, first_open_seconds: float = 1, longest_open_seconds: float = 5, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.problem: str | None = None
        """Why calls fail; None while the breaker is closed. Set by ``trip``."""
        self.problem_since: float | None = None
        """When the first of the consecutive failures was reported, in monotonic seconds. Set by ``trip``."""
        self._monotonic = clock.monotonic
        self._backoff = Backoff(first_open_seconds, longest_open_seconds, clock=clock)
        self._open_until = 0.0
        self._is_trial_running = False

    @property
    def is_open(self) -> bool:
        """Tell whether a call would be refused now."""
        return self.problem is not None and (self._is_trial_running or self._monotonic() < self._open_until)

    def begin_call(self) -> bool:
        """Note that a call is allowed; tell whether it is the trial, whose caller must call ``end_trial``."""
        is_trial = self.problem is not None
        self._is_trial_running = self._is_trial_running or is_trial
        return is_trial

    def end_trial(self) -> None:
        """Let the next call be the trial, whatever the result of this one."""
        self._is_trial_running = False

    def trip(self, problem: str) -> bool:
        """Open, for longer each time in a row.

        Tell whether this changed anything: of concurrent calls only the first failure counts.
        """
        now = self._monotonic()
        if self.problem is not None and now < self._open_until:
            return False
        if self.problem is None:
            self.problem_since = now
        self.problem = problem
        self._open_until = now + self._backoff.fail()
        return True

    def reset(self) -> None:
        """Close: a call succeeded."""
        self.problem = None
        self.problem_since = None
        self._backoff.succeed()
