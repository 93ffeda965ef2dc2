"""Takes messages from the inbox, calls the program's handlers, and remembers its position.

An error raised by a handler never stops the stream. An ``async for`` loop counts as a handler: an event is handled when
the loop asks for the next one.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from swim_client.events import Event, decode, matches
from swim_client.flights import FlightMirror
from swim_client.inbox import Inbox, Item
from swim_client.resume import EventId, ResumeFile

Handler = Callable[..., Any]
SAVE_SECONDS = 1.0
TURN_SECONDS = 0.01
"""After this long without a pause, the loop's other tasks get a turn."""
_MAX_CACHED_TYPES = 1000
_LAST_WORDS = frozenset({"disconnected", "error"})

_log = logging.getLogger("swim_client")


class NotHandled(BaseException):
    """Raised by an internal handler that could not deliver its event: the event does not count as handled."""


class Registration:
    """One handler and the patterns it was registered for."""

    def __init__(self, patterns: Tuple[str, ...], handler: Handler) -> None:
        self.patterns = patterns
        self.handler = handler
        self._arguments = count_arguments(handler, is_wildcard=any(pattern.endswith("*") for pattern in patterns))

    def call(self, event: Event) -> Any:
        """Call the handler with event, timestamp and type, or as many of these as it accepts."""
        return self.handler(*(event, event.timestamp, event.type)[: self._arguments])


class Handlers:
    """All handlers, called in order of registration. Any thread may register."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registrations: List[Registration] = []
        self._cache: Dict[str, Tuple[Registration, ...]] = {}

    def add(self, patterns: Tuple[str, ...], handler: Handler) -> Registration:
        """Register a handler, called once for a message that any of the patterns includes. Raises TypeError."""
        if not callable(handler):
            raise TypeError(f"a handler is a function, not {handler!r}")
        registration = Registration(patterns, handler)
        with self._lock:
            self._registrations = [*self._registrations, registration]
            self._cache = {}
        return registration

    def remove(self, pattern: str, handler: Optional[Handler] = None) -> None:
        """Remove a handler, or all handlers of a pattern."""
        self._keep(lambda r: r.patterns != (pattern,) or (handler is not None and r.handler != handler))

    def discard(self, registration: Registration) -> None:
        """Remove one registration."""
        self._keep(lambda kept: kept is not registration)

    def _keep(self, is_kept: Callable[[Registration], bool]) -> None:
        with self._lock:
            self._registrations = [registration for registration in self._registrations if is_kept(registration)]
            self._cache = {}

    def of(self, event_type: str) -> Tuple[Registration, ...]:
        """Return the handlers of a message type."""
        cache = self._cache
        found = cache.get(event_type)
        if found is None:
            found = tuple(r for r in self._registrations if any(matches(p, event_type) for p in r.patterns))
            if len(cache) < _MAX_CACHED_TYPES:
                cache[event_type] = found
        return found

    async def hand_over(self, event: Event) -> None:
        """Call each handler in turn. If one raises, log it and call the next."""
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
    """Return how many of event, timestamp and type a handler is called with.

    Two, unless it accepts fewer or requires three. One with variable arguments gets the type if it was registered for a
    wildcard.
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


def _epoch_of(connected: Mapping[str, Any]) -> Optional[str]:
    """Return the epoch in a ``connected`` message; None: the server named none."""
    data = connected.get("data")
    epoch = data.get("epoch") if isinstance(data, dict) else None
    return epoch if isinstance(epoch, str) else None


def _is_being_cancelled() -> bool:
    """Return True if the task that runs the handlers is cancelled, rather than something the handler awaited."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # Python 3.11 and later; before, it can't be told apart
    return cancelling is None or cancelling() > 0


class Feed(Protocol):
    """A loop over events, async or synchronous."""

    def end(self, error: Optional[BaseException] = None) -> None:
        """End the loop, with an error if given."""


class EventQueue:
    """Between the dispatcher, which waits for the loop's body, and the loop. Belongs to one asyncio loop."""

    def __init__(self) -> None:
        self._offered: Optional[Event] = None
        self._returned: Optional[asyncio.Future[bool]] = None
        """Of the event that was offered or is out: whether it was handled."""
        self._news = asyncio.Event()
        self._has_ended = False
        self._error: Optional[BaseException] = None

    async def deliver(self, event: Event, _timestamp: str) -> None:
        """Offer an event, and wait until it was handled. Raises NotHandled if nobody took it."""
        if self._has_ended:
            raise NotHandled
        self._offered = event
        self._returned = asyncio.get_running_loop().create_future()
        self._news.set()
        if not await self._returned:
            raise NotHandled

    async def take(self) -> Optional[Event]:
        """Mark the previous event as handled and return the next; None, or the error, at the end."""
        self._give_back(is_handled=True)
        while self._offered is None:
            if self._error is not None:
                raise self._error
            if self._has_ended:
                return None
            self._news.clear()
            await self._news.wait()
        event, self._offered = self._offered, None
        return event

    def end(self, error: Optional[BaseException] = None) -> None:
        """End the loop, with an error if given."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
            if self._offered is not None:
                self._offered = None
                self._give_back(is_handled=False)
            self._news.set()

    def close(self) -> None:
        """End the loop; its current event counts as handled."""
        self.end()
        self._give_back(is_handled=True)

    def _give_back(self, *, is_handled: bool) -> None:
        if self._offered is None and self._returned is not None and not self._returned.done():
            self._returned.set_result(is_handled)


class Dispatcher:
    """Delivers each event exactly once, in order. The program's handlers run in the thread that runs this."""

    def __init__(
        self,
        inbox: Inbox,
        handlers: Handlers,
        *,
        flights: FlightMirror,
        resume_file: Optional[ResumeFile],
        handled: Optional[EventId],
        on_connected: Callable[[], None],
    ) -> None:
        self.handled = handled
        """Where to resume: everything up to it has been handled."""
        self.task: Optional[asyncio.Task[object]] = None
        """The task that runs the handlers."""
        self.is_stopping = False
        """Set from any thread: queued events are dropped, not handled."""
        self._inbox = inbox
        self._handlers = handlers
        self._flights = flights
        self._resume_file = resume_file
        self._epoch = resume_file.epoch if resume_file is not None else None
        """The epoch of ``handled``."""
        self._epoch_now: Optional[str] = None
        """The epoch of the events that are handled now."""
        self._on_connected = on_connected
        self._saving: Optional[asyncio.Future[None]] = None
        self._save_due: Optional[asyncio.TimerHandle] = None

    async def run(self) -> None:
        """Work until the inbox ends. Raises the error that ended it."""
        self.task = asyncio.current_task()
        turn_end = time.monotonic() + TURN_SECONDS
        try:
            while True:
                item = self._inbox.get_now() or await self._inbox.get()
                if item is None:
                    break
                await self._hand_over(item)
                if time.monotonic() >= turn_end:
                    await asyncio.sleep(0)
                    turn_end = time.monotonic() + TURN_SECONDS
        finally:
            await self._save_at_last()
        if self._inbox.error is not None:
            raise self._inbox.error

    async def _hand_over(self, item: Item) -> None:
        kind = item.message["type"]
        if self.is_stopping and kind not in _LAST_WORDS:
            return
        if not self._flights.take(item.message) and self._handlers.of(kind):
            try:
                await self._handlers.hand_over(decode(item.message))
            except NotHandled:
                return
        if kind == "connected":
            self._epoch_now = _epoch_of(item.message)
            self._on_connected()
        if item.point is not None and item.point != self.handled:
            self.handled, self._epoch = item.point, self._epoch_now
            self._save_soon()

    def _save_soon(self) -> None:
        if self._resume_file is not None and self._save_due is None:
            self._save_due = asyncio.get_running_loop().call_later(SAVE_SECONDS, self._begin_saving)

    def _begin_saving(self) -> None:
        self._save_due = None
        if self._saving is not None and not self._saving.done():
            self._save_soon()
            return
        assert self._resume_file is not None and self.handled is not None, "saving was asked for"
        loop = asyncio.get_running_loop()
        self._saving = loop.run_in_executor(None, self._save, self._resume_file, self.handled, self._epoch)

    def _save(self, resume_file: ResumeFile, event_id: EventId, epoch: Optional[str]) -> None:
        try:
            resume_file.save(event_id, epoch)
        except OSError as error:
            _log.error("resume file %s can't be written: %s", resume_file.path, error)

    async def _save_at_last(self) -> None:
        if self._save_due is not None:
            self._save_due.cancel()
        if self._saving is not None:
            await asyncio.wait({self._saving})
        resume_file = self._resume_file
        if resume_file is not None and self.handled is not None and self.handled != resume_file.saved:
            self._save(resume_file, self.handled, self._epoch)
