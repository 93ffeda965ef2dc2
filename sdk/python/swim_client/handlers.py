"""The program's handlers: which ones a message goes to, and calling them so that none can stop the stream."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from swim_client.events import Event, matches

Handler = Callable[..., Any]
_MAX_CACHED_TYPES = 1000

_log = logging.getLogger("swim_client")


class NotHandled(BaseException):
    """Raised by a handler of ours that could not hand its event over: it doesn't count as handled."""


class Registration:
    """One handler and the patterns it was registered for."""

    def __init__(self, patterns: Tuple[str, ...], handler: Handler) -> None:
        self.patterns = patterns
        self.handler = handler
        self._arguments = count_arguments(handler, is_wildcard=any(pattern.endswith("*") for pattern in patterns))

    def call(self, event: Event) -> Any:
        """Call the handler with the event, its timestamp and its type, as many of them as it takes."""
        return self.handler(*(event, event.timestamp, event.type)[: self._arguments])


class Handlers:
    """All handlers, called in the order in which they were registered. Any thread may register."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registrations: List[Registration] = []
        self._cache: Dict[str, Tuple[Registration, ...]] = {}

    def add(self, patterns: Tuple[str, ...], handler: Handler) -> Registration:
        """Register a handler, called once for a message that any of the patterns takes in. Raises TypeError."""
        if not callable(handler):
            raise TypeError(f"a handler is a function, not {handler!r}")
        registration = Registration(patterns, handler)
        with self._lock:
            self._registrations = [*self._registrations, registration]
            self._cache = {}
        return registration

    def remove(self, pattern: str, handler: Optional[Handler] = None) -> None:
        """Take a handler away, or all of a pattern."""
        self._keep(lambda r: r.patterns != (pattern,) or (handler is not None and r.handler != handler))

    def discard(self, registration: Registration) -> None:
        """Take one registration away."""
        self._keep(lambda kept: kept is not registration)

    def _keep(self, is_kept: Callable[[Registration], bool]) -> None:
        with self._lock:
            self._registrations = [registration for registration in self._registrations if is_kept(registration)]
            self._cache = {}

    def of(self, event_type: str) -> Tuple[Registration, ...]:
        """Return the handlers that a message of this type goes to."""
        cache = self._cache
        found = cache.get(event_type)
        if found is None:
            found = tuple(r for r in self._registrations if any(matches(p, event_type) for p in r.patterns))
            if len(cache) < _MAX_CACHED_TYPES:
                cache[event_type] = found
        return found

    async def hand_over(self, event: Event) -> None:
        """Call each handler in turn. What one raises is logged, and the next is called."""
        for registration in self.of(event.type):
            try:
                result = registration.call(event)
                if result is not None and inspect.isawaitable(result):
                    await result
            except asyncio.CancelledError:
                if _is_being_cancelled():
                    raise
                _log.error("a handler of %s was cancelled from within", event.type)
            except Exception:  # noqa: BLE001  # whatever a handler does wrong, the stream goes on
                _log.exception("a handler of %s failed", event.type)


def count_arguments(handler: Handler, *, is_wildcard: bool) -> int:
    """How many of event, timestamp and type to call a handler with: two, unless it takes fewer, or asks for the third.

    One that takes any number gets the type if it was registered for a wildcard.
    """
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):
        return 2
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 3 if is_wildcard else 2
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(parameter.default is parameter.empty for parameter in positional)
    if required > 3:
        raise TypeError(
            f"a handler is called with (event, timestamp, type), but {handler!r} needs {required} arguments"
        )
    return max(required, min(len(positional), 3 if is_wildcard else 2))


def _is_being_cancelled() -> bool:
    """Tell whether the task that runs the handlers is to end, rather than something the handler awaited."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # Python 3.11 and later; before, it can't be told apart
    return cancelling is None or cancelling() > 0
