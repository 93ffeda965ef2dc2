"""The client: what a program configures and runs.

``ClientBase`` is what both interfaces share, ``SWIMClient`` the one for async code; the one for synchronous code is in
``sync``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl as ssl_module
import threading
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, AsyncGenerator, Callable, List, Mapping, Optional, Type, TypeVar, Union

from swim_client.addresses import Urls
from swim_client.dispatcher import EventQueue, Feed, Handlers
from swim_client.errors import ConnectionLost, SwimError
from swim_client.events import Event, EventType, FlightEvent
from swim_client.flights import FlightMirror
from swim_client.opening import DEFAULT_URL, ApiKey, Opener, check_urls
from swim_client.reconnector import ClientRun, NetworkClass, NetworkTask, NetworkThread, Settings, current_task
from swim_client.resume import EventId, ResumeFile
from swim_client.subscriptions import (
    Answer,
    Channels,
    Command,
    PendingSubscription,
    SubscriptionFilters,
    Subscriptions,
    read_channels,
    read_filters,
    read_history,
)

_F = TypeVar("_F", bound=Callable[..., Any])
Names = Union[str, List[str], None]
Time = Union[str, datetime, None]
Since = Union[str, datetime, timedelta, None]

_log = logging.getLogger("swim_client")


class ClientBase:
    """What async and synchronous clients share: handlers, subscriptions, requests, settings, ``run``.

    ``subscribe``, ``unsubscribe``, ``ping``, ``status``, ``publish`` and ``stop`` return at once and may be called from
    any thread and from handlers. Handlers run one after the other, in the thread that runs the client.
    """

    DEFAULT_URL = DEFAULT_URL

    def __init__(
        self,
        api_key: Optional[str] = None,
        url: Optional[Urls] = None,
        reconnect: bool = True,
        reconnect_interval: float = 1.0,
        max_reconnect_interval: float = 60.0,
        ping_interval: float = 20.0,
        debug: bool = False,
        *,
        resume_file: Union[str, os.PathLike[str], None] = None,
        resume: bool = True,
        ping_timeout: float = 20.0,
        open_timeout: float = 15.0,
        messages_per_second: int = 8,
        max_queued_events: int = 1000,
        max_message_bytes: Optional[int] = None,
        ssl: Optional[ssl_module.SSLContext] = None,
        unix_path: Union[str, os.PathLike[str], None] = None,
    ) -> None:
        """Configure a client without connecting. Raises ValueError for a missing key or an invalid setting.

        ``api_key``: default ``SWIM_API_KEY``. ``url``: default ``SWIM_URL``, else this machine. A service of several
        nodes has several addresses: a list, or one text with commas between them; where one fails, the client resumes
        at another. ``reconnect``: if False, the run ends with the first connection. ``resume_file``:
        where to store the last event handled, so that a restarted program continues from there. ``resume=False``: after
        a break, continue with live events only.
        ``debug``: log each step to standard error. ``max_message_bytes``: receive no longer messages; 4,096 or more.
        ``unix_path``: connect to a Unix socket, which needs no key. Times are in seconds.
        """
        self._settings = Settings(
            reconnect=reconnect,
            reconnect_interval=reconnect_interval,
            max_reconnect_interval=max_reconnect_interval,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            messages_per_second=messages_per_second,
            max_queued_events=max_queued_events,
            max_message_bytes=max_message_bytes,
            resume=resume,
        )
        self.urls = _find_urls(url, is_socket=bool(unix_path))
        """The addresses of the service."""
        key = None if unix_path and api_key is None else ApiKey.find(api_key)
        self._opener = Opener(
            self.urls, key, unix_path=Path(unix_path) if unix_path else None, ssl=ssl, timeout_seconds=open_timeout
        )
        self._resume_file = ResumeFile(resume_file) if resume_file is not None else None
        self._handlers = Handlers()
        self._subscriptions = Subscriptions()
        self.flights = FlightMirror(self._subscriptions.has_filters, self._is_handlers_thread)
        """The current flights, if the program has subscribed with ``state=True``."""
        self._handled: Optional[EventId] = None
        self._running: Optional[ClientRun] = None
        self._state_lock = threading.Lock()
        self._is_starting = False
        """A run was begun in another thread, and has not come so far as to be busy."""
        self._is_busy = False
        self._is_stop_asked = False
        """Asked to stop before there was a run that could be told."""
        self._closed = Answer()
        """Of the run at hand, while nothing else can tell that it has ended."""
        self._handlers_thread: Optional[int] = None
        self._arrivals: List[Answer] = []
        self._feeds: List[Feed] = []
        if debug:
            _log_to_stderr()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._opener.address}, {'connected' if self.connected else 'not connected'})"

    # Handlers.

    def on(self, event_type: Union[str, EventType]) -> Callable[[_F], _F]:
        """Register the decorated function, sync or async, for a type, ``family.*``, or ``*`` (every event).

        It is called with ``(event, timestamp)``; with fewer arguments if it accepts fewer, and with the type as a third
        one if it requires three. Besides the server's types there are ``connected``, ``disconnected``, ``reconnected``,
        ``gap``, ``error``, ``subscribed``, ``unsubscribed``, ``pong`` and ``status``.
        """

        def register(handler: _F) -> _F:
            self.add_handler(event_type, handler)
            return handler

        return register

    def add_handler(self, event_type: Union[str, EventType], handler: Callable[..., Any]) -> None:
        """Register a handler, like ``on``."""
        self._handlers.add((_name(event_type),), handler)

    def remove_handler(self, event_type: Union[str, EventType], handler: Optional[Callable[..., Any]] = None) -> None:
        """Remove a handler of this type, or all of them."""
        self._handlers.remove(_name(event_type), handler)

    # What to hear of.

    def subscribe(
        self,
        channels: Channels,
        airports: Names = None,
        artccs: Names = None,
        callsign_prefix: Names = None,
        bbox: Any = None,
        *,
        firs: Names = None,
        constrained_firs: Names = None,
        phase: Names = None,
        dep_window_start: Time = None,
        dep_window_end: Time = None,
        filters: Union[Mapping[str, Any], SubscriptionFilters, None] = None,
        after: Optional[str] = None,
        since: Since = None,
        last: Optional[int] = None,
        state: bool = False,
    ) -> Answer:
        """Add channels and filters, now and after every reconnect. Before or while connected, from any thread.

        Channels add up. Filters apply to the whole connection and merge by kind: a kind named again replaces its value,
        ``[]`` clears it. ``bbox``: ``{north, south, east, west}`` or those four in this order. ``filters``: kinds that
        have no argument here. One of ``after`` (an event id), ``since`` (a time, ``"10m"`` or a timedelta) and ``last``
        (a number) requests history first; only possible with the first subscription. ``state``: send the current state
        first, and keep ``client.flights`` up to date. The answer is the server's; a refused subscription is logged,
        passed to the handlers of ``error``, and raised where the answer is awaited. If every subscription is refused at
        the start, ``run`` ends with the reason.
        """
        named = {
            "airports": airports,
            "artccs": artccs,
            "callsign_prefix": callsign_prefix,
            "bbox": bbox,
            "firs": firs,
            "constrained_firs": constrained_firs,
            "phase": phase,
            "dep_window_start": dep_window_start,
            "dep_window_end": dep_window_end,
        }
        names = read_channels(channels)
        if not names:
            raise ValueError("subscribe to at least one channel, such as 'flight.departed'")
        history = read_history(after, since, last)
        if history and self._has_begun():
            raise ValueError(f"{next(iter(history))}: history can be asked for only with the first subscription")
        answer = self._new_answer()
        given = {kind: value for kind, value in named.items() if value is not None}
        more = filters.to_dict() if isinstance(filters, SubscriptionFilters) else dict(filters or {})
        wish = PendingSubscription(names, read_filters({**more, **given}), history, answer, state)
        version = self._subscriptions.add(wish)
        if self._running is not None:
            message = {"action": "subscribe"}
            self._send(Command(message, "subscribed", answer, version=version, wish=wish))
        return answer

    def _has_begun(self) -> bool:
        """Return True if the stream has already begun, so that no history can precede it."""
        return self.last_event_id is not None or (self.connected and bool(self._subscriptions))

    def unsubscribe(self, channels: Optional[Channels] = None) -> Answer:
        """Remove channels; without arguments, all channels and the filters."""
        names = read_channels(channels) if channels is not None else []
        version = self._subscriptions.remove(names)
        answer = self._new_answer()
        if self._running is None:
            answer.resolve(None)
        else:
            message = {"action": "unsubscribe", **({"channels": names} if names else {})}
            self._send(Command(message, "unsubscribed", answer, version=version))
        return answer

    # Requests.

    def ping(self) -> Answer:
        """Ask for a ``pong``. Fails without a connection."""
        return self._ask("ping", "pong")

    def status(self) -> Answer:
        """Ask what the server knows about this connection. Fails without a connection."""
        return self._ask("status", "status")

    def publish(self, channel: str, data: Mapping[str, Any], event_id: Optional[str] = None) -> Answer:
        """Publish an event; needs a key of the system tier. The answer, a dict with its ``id``, means: stored.

        Without a connection it waits for one. If a connection ends before the answer, the event is sent again under the
        same ``event_id``, so that it is published only once. Raises TypeError or ValueError for data that JSON can't
        express.
        """
        if self._running is None:
            raise ConnectionLost("the client isn't running: publish while it runs")
        message = {
            "action": "publish",
            "channel": channel,
            "data": json.loads(json.dumps(dict(data), allow_nan=False)),
            "event_id": event_id or uuid.uuid4().hex,
        }
        answer = self._new_answer()
        self._send(Command(message, "publish_ack", answer, is_repeatable=True))
        return answer

    def _ask(self, action: str, answer_type: str) -> Answer:
        answer = self._new_answer()
        if self.connected:
            self._send(Command({"action": action}, answer_type, answer))
        else:
            answer.fail(ConnectionLost(f"{action}: there is no connection"))
        return answer

    def _new_answer(self) -> Answer:
        return Answer(self._is_network_thread)

    def _is_network_thread(self) -> bool:
        running = self._running
        return running is not None and running.is_network_thread()

    def _send(self, command: Command) -> None:
        running = self._running
        if running is None:
            command.answer.fail(ConnectionLost(f"{command.action}: the client isn't running"))
        else:
            running.send(command)

    # Settings, which may be changed while the client runs: they hold from the next connection, or pause, on.

    @property
    def api_key(self) -> Optional[str]:
        """The key; None if none is needed."""
        return self._opener.key.reveal() if self._opener.key is not None else None

    @api_key.setter
    def api_key(self, key: str) -> None:
        self._opener.key = ApiKey(key)

    @property
    def reconnect(self) -> bool:
        """Whether to reconnect after a connection ends."""
        return self._settings.reconnect

    @reconnect.setter
    def reconnect(self, value: bool) -> None:
        self._settings.reconnect = value

    @property
    def reconnect_interval(self) -> float:
        """The first wait is a random part of this, in seconds."""
        return self._settings.reconnect_interval

    @reconnect_interval.setter
    def reconnect_interval(self, seconds: float) -> None:
        self._settings.reconnect_interval = seconds

    @property
    def max_reconnect_interval(self) -> float:
        """No wait is longer, in seconds."""
        return self._settings.max_reconnect_interval

    @max_reconnect_interval.setter
    def max_reconnect_interval(self, seconds: float) -> None:
        self._settings.max_reconnect_interval = seconds

    @property
    def ping_interval(self) -> float:
        """How often to check that the server is still there, in seconds."""
        return self._settings.ping_interval

    @ping_interval.setter
    def ping_interval(self, seconds: float) -> None:
        self._settings.ping_interval = seconds

    # State.

    @property
    def url(self) -> str:
        """The address in use, or the next one to be tried."""
        return self._opener.addresses.current

    @property
    def connected(self) -> bool:
        """Whether there is a connection that the server has accepted."""
        return self.client_id is not None

    @property
    def client_id(self) -> Optional[str]:
        """The server's id for the current connection; None without one."""
        running = self._running
        return running.client_id if running is not None else None

    @property
    def last_event_id(self) -> Optional[str]:
        """Where a later run would resume: everything up to this id has been handled."""
        running = self._running
        handled = running.handled if running is not None else self._handled
        return None if handled is None else str(handled)

    # Life.

    def run(self) -> None:
        """Run until stopped. Blocks; handlers are called in this thread, the network has a thread of its own.

        Returns after ``stop()`` and after Ctrl-C. Raises AuthenticationError if the key is refused, RequestRefused if
        every subscription is refused, ProtocolError if the server gives up on this client, ConnectionLost with
        ``reconnect=False``.
        """
        if current_task() is not None:
            raise RuntimeError("run() blocks; in async code use: await client.run_async()")
        try:
            asyncio.run(self._run(NetworkThread))
        except KeyboardInterrupt:
            _log.info("interrupted")
        except SwimError as error:
            # Where in the machinery it came up tells nobody anything: the text does.
            raise error.with_traceback(None) from None

    def stop(self) -> Answer:
        """Close the connection permanently and end the run; queued events are not handled. From any thread.

        The answer, which need not be awaited, means that the connection is closed.
        """
        with self._state_lock:
            running = self._running
            if running is None:
                if not (self._is_busy or self._is_starting):
                    return _resolved()
                if self._closed.done():
                    self._closed = Answer()
                self._is_stop_asked = True
                return self._closed
        return running.stop()

    def disconnect(self) -> Answer:
        """Stop; the same as ``stop``."""
        return self.stop()

    async def _run(self, network_class: NetworkClass) -> None:
        with self._state_lock:
            if self._is_busy:
                raise RuntimeError("this client is running already")
            self._is_busy, self._is_starting = True, False
            self._closed = closed = self._closed if self._is_stop_asked else Answer()
        self._handlers_thread = threading.get_ident()
        error: Optional[BaseException] = None
        try:
            if self._resume_file is not None:
                self._handled = self._resume_file.load() or self._handled
                if self._resume_file.fault is not None:
                    _log.error("%s: the stream begins with a gap", self._resume_file.fault)
            await self._run_once(network_class)
        except Exception as failure:
            error = failure
            raise
        finally:
            self._handlers_thread = None
            with self._state_lock:
                self._is_busy = self._is_stop_asked = False
            for feed in list(self._feeds):
                feed.end(error)
            self.flights.ended(error)
            closed.resolve(None)

    async def _run_once(self, network_class: NetworkClass) -> None:
        running = ClientRun(
            self._opener,
            handlers=self._handlers,
            flights=self.flights,
            subscriptions=self._subscriptions,
            settings=self._settings,
            resume_file=self._resume_file,
            handled=self._handled,
            on_connected=self._connected_handled,
        )
        try:
            await running.open(network_class)
            with self._state_lock:
                self._running = running
                is_stop_asked = self._is_stop_asked
            if is_stop_asked:
                running.stop()
            await running.run()
        finally:
            try:
                await running.finish()
            finally:
                self._handled = running.handled
                self._running = None

    def _connected_handled(self) -> None:
        for arrival in list(self._arrivals):
            arrival.resolve(None)

    def _is_handlers_thread(self) -> bool:
        return self._handlers_thread == threading.get_ident()


class SWIMClient(ClientBase):
    """Listens to SWIM: stays connected, resumes after a break, and delivers each event once and in order.

    For async code, and for synchronous code that has only handlers: ``run()``. Synchronous code that loops over events,
    or continues beside the stream, uses ``swim_client.sync.SWIMClient``.
    """

    _background: Optional[asyncio.Task[None]] = None

    async def run_async(self) -> None:
        """Run until stopped or cancelled; raises what ``run`` raises. Handlers must not block the loop."""
        if self._background is not None and not self._background.done():
            await self._background
        else:
            await self._run(NetworkTask)

    async def connect(self) -> bool:
        """Start in the background and wait until connected. Raises what ``run`` raises."""
        if self.connected:
            return True
        if self._background is None or self._background.done():
            self._background = asyncio.ensure_future(self._run(NetworkTask))
        background, arrival = self._background, Answer()
        self._arrivals.append(arrival)
        background.add_done_callback(lambda _: arrival.resolve(None))
        try:
            await arrival
        except asyncio.CancelledError:
            background.cancel()
            raise
        finally:
            self._arrivals.remove(arrival)
        if background.done():
            background.result()
            return False
        return True

    async def events(
        self, channels: Optional[Channels] = None, *args: Any, **filters: Any
    ) -> AsyncGenerator[Event, None]:
        """Subscribe like ``subscribe``, and yield the events of these channels; without channels, every event.

        The loop must run beside the client: inside ``async with client``, or while ``run_async`` runs. It ends when the
        client is stopped, and raises the error that ends the client otherwise. While its body runs, no other event is
        delivered to any handler. An event counts as handled when the loop asks for the next one, or ends.
        """
        patterns = tuple(read_channels(channels)) if channels is not None else ("*",)
        feed = EventQueue()
        registration = self._handlers.add(patterns, feed.deliver)
        self._feeds.append(feed)
        loop = asyncio.get_running_loop()

        def refused(answer: Answer) -> None:
            if answer.error() is not None:
                loop.call_soon_threadsafe(feed.end, answer.error())

        try:
            if channels is not None:
                self.subscribe(channels, *args, **filters).add_done_callback(refused)
            while True:
                event = await feed.take()
                if event is None:
                    return
                yield event
        finally:
            self._handlers.discard(registration)
            self._feeds.remove(feed)
            feed.close()

    async def snapshot(self, channels: Channels = "flight.*", *args: Any, **filters: Any) -> List[FlightEvent]:
        """Return the current flights; accepts channels and filters like ``subscribe``.

        The client must be connected. It stays subscribed, and ``client.flights`` is kept up to date from then on.
        """
        answer = self.subscribe(channels, *args, state=True, **filters)
        if self.connected:
            await answer
        await self.flights.complete()
        return self.flights.where()

    def stop(self) -> Answer:
        """Close the connection permanently and end the run; queued events are not handled. From any thread.

        The answer, which need not be awaited, means that the connection is closed.
        """
        background = self._background
        if self._running is None and background is not None and not background.done():
            background.get_loop().call_soon_threadsafe(background.cancel)
            return _resolved()
        return super().stop()

    async def __aenter__(self) -> SWIMClient:
        await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()
        background = self._background
        if background is not None:
            await asyncio.wait({background})
            if exc is None and not background.cancelled():
                background.result()


def _resolved() -> Answer:
    answer = Answer()
    answer.resolve(None)
    return answer


def _name(event_type: Union[str, EventType]) -> str:
    return event_type.value if isinstance(event_type, EventType) else event_type


def _find_urls(given: Optional[Urls], *, is_socket: bool) -> List[str]:
    """Return the addresses given, else those of the environment; with a socket, one is enough. Raises ValueError."""
    if given is not None and given != "":
        return check_urls(given)
    named = check_urls(os.environ.get("SWIM_URL") or DEFAULT_URL)
    return named[:1] if is_socket else named


def _log_to_stderr() -> None:
    """Log each step to standard error, unless the program has configured logging itself."""
    _log.setLevel(logging.DEBUG)
    if not _log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        _log.addHandler(handler)
