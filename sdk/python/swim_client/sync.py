"""The client for synchronous code: the names of ``swim_client``, without ``async``.

from swim_client.sync import SWIMClient

with SWIMClient("your-key") as client:
    for event in client.events(["flight.departed", "flight.arrived"], airports=["KJFK"]):
        print(event.type, event.callsign)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
from types import TracebackType
from typing import Any, Generator, List, Optional, Tuple, Type

from swim_client.client import ClientBase
from swim_client.dispatcher import NotHandled
from swim_client.errors import SwimError
from swim_client.events import Event, FlightEvent
from swim_client.reconnector import NetworkThread
from swim_client.subscriptions import Answer, Channels, read_channels

__all__ = ["SWIMClient"]

LOOK_SECONDS = 1.0
"""Where a wait can't be interrupted (on Windows), Ctrl-C is noticed after so long."""

_log = logging.getLogger("swim_client")


class SWIMClient(ClientBase):
    """Listens to SWIM from synchronous code: ``with`` and ``for`` instead of ``async with`` and ``async for``.

    Network and handlers each have a thread in the background: a handler, or a loop's body, may be slow. Any thread may
    use the client. The arguments are those of ``swim_client.SWIMClient``.
    """

    _thread: Optional[threading.Thread] = None
    _outcome: Optional[concurrent.futures.Future[None]] = None
    """Of the last run in the background."""
    _is_outcome_told = True

    def connect(self, timeout: Optional[float] = None) -> bool:
        """Start in the background and wait until connected. Raises what ``run`` raises.

        ``timeout``: after this many seconds, stop and raise TimeoutError. Without it, wait for a server that is not
        there yet.
        """
        if self.connected:
            return True
        self._must_not_be_a_handler("connect")
        outcome, arrival = self._begin(), Answer()
        self._arrivals.append(arrival)
        outcome.add_done_callback(lambda _: arrival.resolve(None))
        try:
            _wait(arrival, _end(timeout))
        except BaseException:
            self.stop()
            self._await_end()
            raise
        finally:
            self._arrivals.remove(arrival)
        if outcome.done():
            self._raise_why_it_ended()
            return False
        return True

    def run(self) -> None:
        """Run until stopped, or, after ``connect``, wait for the end. Returns and raises like the async client's."""
        self._must_not_be_a_handler("run")
        try:
            self._await_end()
        except KeyboardInterrupt:
            _log.info("interrupted")
            self.stop()
            self._await_end()
            return
        if self._is_outcome_told:
            super().run()
        else:
            self._raise_why_it_ended()

    def events(
        self, channels: Optional[Channels] = None, *args: Any, timeout: Optional[float] = None, **filters: Any
    ) -> Generator[Event, None, None]:
        """Subscribe like ``subscribe``, and yield the events of these channels; without channels, every event.

        The client must be running: inside ``with client``, after ``connect``, or while another thread is in ``run``.
        The loop ends when the client is stopped, or when nothing has arrived for ``timeout`` seconds; it raises the
        error that ends the client otherwise. While its body runs, no other event is delivered to any handler. An event
        counts as handled when the loop asks for the next one, or ends.
        """
        self._must_not_be_a_handler("a loop over events")
        patterns = tuple(read_channels(channels)) if channels is not None else ("*",)
        feed = _ThreadFeed()
        registration = self._handlers.add(patterns, feed.deliver)
        self._feeds.append(feed)

        def refused(answer: Answer) -> None:
            if answer.error() is not None:
                feed.end(answer.error())

        try:
            if not (self._is_busy or self._is_starting):
                self._raise_why_it_ended()
                raise RuntimeError("the client isn't running: loop inside `with client:`, or call client.connect()")
            if channels is not None:
                self.subscribe(channels, *args, **filters).add_done_callback(refused)
            while True:
                event = feed.take(timeout)
                if event is None:
                    return
                yield event
        finally:
            self._handlers.discard(registration)
            self._feeds.remove(feed)
            feed.close()

    def snapshot(
        self, channels: Channels = "flight.*", *args: Any, timeout: Optional[float] = None, **filters: Any
    ) -> List[FlightEvent]:
        """Return the current flights; accepts channels and filters like ``subscribe``.

        The client must be running. It stays subscribed, and ``client.flights`` is kept up to date from then on. Raises
        TimeoutError after ``timeout`` seconds.
        """
        self._must_not_be_a_handler("snapshot")
        end = _end(timeout)
        answer = self.subscribe(channels, *args, state=True, **filters)
        if self.connected:
            _wait(answer, end)
        _wait(self.flights.complete(), end)
        return self.flights.where()

    def __enter__(self) -> SWIMClient:
        self.connect()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()
        for feed in list(self._feeds):
            if isinstance(feed, _ThreadFeed) and feed.is_of_this_thread():
                feed.close()  # a loop that was left without being closed
        self._await_end()
        if exc is None:
            self._raise_why_it_ended()

    # The run in the background.

    def _begin(self) -> concurrent.futures.Future[None]:
        """Start the handlers' thread unless it is running."""
        with self._state_lock:
            outcome = self._outcome
            if outcome is not None and not outcome.done():
                return outcome
            if self._is_busy:
                raise RuntimeError("this client is running already")
            self._outcome = outcome = concurrent.futures.Future()
            self._is_outcome_told = False
            self._is_starting = True
            # A daemon thread: a program that ends without a word is not kept.
            self._thread = threading.Thread(
                target=self._work, args=(outcome,), name="swim-client-handlers", daemon=True
            )
        self._thread.start()
        return outcome

    def _work(self, outcome: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._run(NetworkThread))
        except BaseException as error:  # noqa: BLE001  # whoever waits for the end is told
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    def _await_end(self) -> None:
        thread = self._thread
        while thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(LOOK_SECONDS)

    def _raise_why_it_ended(self) -> None:
        """Raise the error that ended the last run in the background, if any."""
        outcome, self._is_outcome_told = self._outcome, True
        error = outcome.exception() if outcome is not None and outcome.done() else None
        if isinstance(error, SwimError):
            raise error.with_traceback(None)
        if error is not None:
            raise error

    def _must_not_be_a_handler(self, what: str) -> None:
        if self._is_handlers_thread():
            raise RuntimeError(f"{what}: waits for what comes through the handlers; a handler can't wait for it")


class _ThreadFeed:
    """Between the handlers' thread, whose loop runs on meanwhile, and a ``for`` loop in another thread."""

    def __init__(self) -> None:
        self._thread_id = threading.get_ident()
        self._news = threading.Condition()
        self._offered: Optional[Event] = None
        self._returned: Optional[Tuple[asyncio.AbstractEventLoop, asyncio.Future[bool]]] = None
        """Of the event that was offered or is out: whether it was handled."""
        self._has_ended = False
        self._error: Optional[BaseException] = None

    def is_of_this_thread(self) -> bool:
        """Return True if the loop runs in the calling thread."""
        return self._thread_id == threading.get_ident()

    async def deliver(self, event: Event, _timestamp: str) -> None:
        """Offer an event, and wait until it was handled. Raises NotHandled if nobody took it."""
        loop = asyncio.get_running_loop()
        returned = loop.create_future()
        with self._news:
            if self._has_ended:
                raise NotHandled
            self._offered, self._returned = event, (loop, returned)
            self._news.notify()
        if not await returned:
            raise NotHandled

    def take(self, timeout: Optional[float]) -> Optional[Event]:
        """Mark the previous event as handled and return the next; None, or the error, at the end."""
        end = _end(timeout)
        with self._news:
            self._give_back(is_handled=True)
            while self._offered is None:
                if self._error is not None:
                    raise self._error
                left = LOOK_SECONDS if end is None else min(LOOK_SECONDS, end - time.monotonic())
                if self._has_ended or left <= 0:
                    return None
                self._news.wait(left)
            event, self._offered = self._offered, None
            return event

    def end(self, error: Optional[BaseException] = None) -> None:
        """End the loop, with an error if given."""
        with self._news:
            if not self._has_ended:
                self._has_ended, self._error = True, error
                if self._offered is not None:
                    self._offered = None
                    self._give_back(is_handled=False)
                self._news.notify()

    def close(self) -> None:
        """End the loop; its current event counts as handled."""
        self.end()
        with self._news:
            self._give_back(is_handled=True)

    def _give_back(self, *, is_handled: bool) -> None:
        if self._offered is not None or self._returned is None:
            return
        (loop, returned), self._returned = self._returned, None
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits in it any more
            loop.call_soon_threadsafe(_settle, returned, is_handled)


def _settle(returned: asyncio.Future[bool], is_handled: bool) -> None:
    if not returned.done():
        returned.set_result(is_handled)


def _end(timeout: Optional[float]) -> Optional[float]:
    return None if timeout is None else time.monotonic() + timeout


def _wait(answer: Answer, end: Optional[float]) -> None:
    """Wait for an answer in a way that Ctrl-C interrupts everywhere. Raises its error, or TimeoutError."""
    while not answer.done():
        left = LOOK_SECONDS if end is None else end - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        with contextlib.suppress(TimeoutError):
            answer.result(min(left, LOOK_SECONDS))
    answer.result()
