"""The sequence of a client's connections: connect, serve, wait, reconnect, until stopped or permanently refused.

The network side runs in the handlers' loop, or in a thread of its own that no handler can block. A ``ClientRun`` has
everything that exists from a run's start to its end, and no longer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional, Type, Union

from swim_client.backoff import NORMAL, Backoff, Ending
from swim_client.dispatcher import Dispatcher, Handlers
from swim_client.errors import AuthenticationError, ClientStopped, ConnectionLost, SwimError
from swim_client.flights import FlightMirror
from swim_client.inbox import Inbox, Item, Signal
from swim_client.opening import Line, NotOpened, Opener
from swim_client.resume import EventId, Progress, ResumeFile
from swim_client.session import Session, disconnected_notice
from swim_client.subscriptions import Answer, Command, Commands, Subscriptions

LEAST_MESSAGE_BYTES = 4096
"""The least ``max_message_bytes`` that the server accepts."""

_log = logging.getLogger("swim_client")


@dataclass
class Settings:
    """Times in seconds. A program may change them while its client runs."""

    reconnect: bool = True
    reconnect_interval: float = 1.0
    """The first wait is a random part of this; each further one may be twice as long."""
    max_reconnect_interval: float = 60.0
    open_timeout: float = 15.0
    """For the upgrade, and again for the greeting that follows it."""
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    messages_per_second: int = 8
    """Requests to the server, whose limit is 10."""
    max_queued_events: int = 1000
    max_queued_bytes: int = 8 * 1024 * 1024
    resume: bool = True
    max_message_bytes: Optional[int] = None
    """The longest message that this program accepts; None: no limit."""

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, bool) and not value > 0:
            raise ValueError(f"{name}: must be more than 0, got {value!r}")
        if name == "max_message_bytes" and value is not None and value < LEAST_MESSAGE_BYTES:
            raise ValueError(f"max_message_bytes: must be {LEAST_MESSAGE_BYTES} or more, got {value!r}")
        super().__setattr__(name, value)


class Reconnector:
    """Keeps one client connected. Created and run in the network's loop; any thread may call ``send`` and ``stop``."""

    def __init__(
        self,
        opener: Opener,
        *,
        inbox: Inbox,
        progress: Progress,
        subscriptions: Subscriptions,
        settings: Settings,
        closed: Answer,
    ) -> None:
        self.session: Optional[Session] = None
        """The current connection."""
        self.commands = Commands()
        self.first_greeting_handled = Signal()
        """Set once the handlers of the first ``connected`` have run."""
        self._opener = opener
        self._inbox = inbox
        self._progress = progress
        self._subscriptions = subscriptions
        self._settings = settings
        self._closed = closed
        self._backoff = Backoff(settings.reconnect_interval, settings.max_reconnect_interval)
        self._lost_at: Optional[float] = None
        self._loop = asyncio.get_running_loop()
        self._task: Optional[asyncio.Task[None]] = None
        self._is_stopping = False

    @property
    def client_id(self) -> Optional[str]:
        """The server's id for the current connection; None without one."""
        session = self.session
        return session.client_id if session is not None else None

    def stop(self) -> None:
        """Close permanently. Any thread may call this, repeatedly."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if not self._is_stopping:  # a second cancellation would break off the closing handshake
            self._is_stopping = True
            if self._task is not None:
                self._task.cancel()

    def _should_stop(self) -> bool:
        return self._is_stopping

    def send(self, command: Command) -> None:
        """Queue a request for the current connection, or the next one."""
        self.commands.put(command)

    async def run(self) -> None:
        """Stay connected. Ends when stopped, or with a permanent error, which the inbox reports."""
        self._task = asyncio.current_task()
        error: Optional[BaseException] = None
        try:
            if not self._is_stopping:
                await self._stay_connected()
        except asyncio.CancelledError:
            _log.info("stopped")
        except Exception as failure:  # noqa: BLE001  # whatever it is, the program's own thread raises it
            error = failure
        finally:
            self.session = None
            self.commands.close(error if isinstance(error, SwimError) else ClientStopped())
            self._inbox.end(error)
            self._closed.resolve(None)

    async def _stay_connected(self) -> None:
        while not self._should_stop():
            try:
                _log.debug("connecting to %s", self._opener.address)
                socket = await self._opener.open()
            except NotOpened as failure:
                wait = self._wait_after(failure)
            else:
                if self._should_stop():  # the cancellation was swallowed on the way, as libraries sometimes do
                    await socket.close()
                    return
                wait = await self._serve(socket)
            await asyncio.sleep(wait)

    def _wait_after(self, failure: NotOpened) -> float:
        now, failed, addresses = time.monotonic(), self._opener.address, self._opener.addresses
        if not self._settings.reconnect and addresses.is_last(now):
            raise ConnectionLost(f"can't connect to {failed}: {failure.reason}") from None
        self._look_at_limits()
        wait = addresses.failed(self._backoff, now, told=failure.retry_after_seconds)
        then = "trying again" if len(addresses) == 1 else f"trying {self._opener.address}"
        _log.warning("can't connect to %s: %s; %s in %.1f s", failed, failure.reason, then, wait)
        return wait

    async def _serve(self, socket: Line) -> float:
        """Serve one connection until it ends. Returns how long to wait before the next; raises if there is none."""
        settings = self._settings
        session = self.session = Session(
            socket,
            inbox=self._inbox,
            progress=self._progress,
            subscriptions=self._subscriptions,
            commands=self.commands,
            ping_interval_seconds=settings.ping_interval,
            ping_timeout_seconds=settings.ping_timeout,
            messages_per_second=settings.messages_per_second,
            greeting_seconds=settings.open_timeout,
            max_message_bytes=settings.max_message_bytes,
            redact=self._opener.redact,
            lost_at=self._lost_at,
            first_greeting_handled=self.first_greeting_handled if self._lost_at is None else None,
        )
        began = time.monotonic()
        try:
            ending = await session.run()
        except asyncio.CancelledError:
            self._inbox.put_now(Item(disconnected_notice(NORMAL, "stopped by this program", None)))
            raise
        finally:
            self.session = None
        self._backoff.ended(time.monotonic() - began)
        if session.client_id is not None:
            self._lost_at = time.monotonic()
        return self._ended(ending, was_greeted=session.client_id is not None)

    def _look_at_limits(self) -> None:
        """Apply the settings that the program may have changed."""
        self._backoff.set_limits(self._settings.reconnect_interval, self._settings.max_reconnect_interval)

    def _ended(self, ending: Ending, *, was_greeted: bool) -> float:
        error = self._final(ending)
        wait = self._wait_seconds(ending, was_greeted) if error is None else None
        told = self._opener.redact(str(ending))
        self._inbox.put_now(Item(disconnected_notice(ending.code, self._opener.redact(ending.told_reason()), wait)))
        if error is not None:
            _log.error("disconnected: %s", told)
            raise error
        assert wait is not None, "there is a wait unless there is an error"
        _log.warning("disconnected: %s; connecting again in %.1f s", told, wait)
        return wait

    def _final(self, ending: Ending) -> Optional[SwimError]:
        error = ending.final_error()
        if isinstance(error, AuthenticationError):
            return AuthenticationError(self._opener.redact(error.reason), error.code)
        if error is None and not self._settings.reconnect:
            return ConnectionLost(self._opener.redact(str(ending)), None)
        return error

    def _wait_seconds(self, ending: Ending, was_greeted: bool) -> float:
        advice, addresses = ending.advice_seconds(), self._opener.addresses
        if was_greeted:
            addresses.ended(is_asked_back=advice is not None)
        if advice is not None and was_greeted:
            return advice  # the server's way to spread its clients; it is no failure, so the backoff doesn't grow
        self._look_at_limits()
        if was_greeted:
            return self._backoff.wait_after_session_seconds()
        return addresses.failed(self._backoff, time.monotonic(), least=advice or 0.0)


class NetworkTask:
    """Runs the reconnector as a task in the handlers' loop: for async programs, whose handlers don't block."""

    def __init__(self, make_link: Callable[[], Reconnector]) -> None:
        self._make_link = make_link
        self._link: Optional[Reconnector] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._thread_id = threading.get_ident()

    def is_this_thread(self) -> bool:
        """Return True if answers are delivered in the calling thread."""
        return self._thread_id == threading.get_ident()

    async def open(self) -> Reconnector:
        """Create the reconnector. It does nothing before ``start``."""
        self._link = self._make_link()
        return self._link

    def start(self) -> None:
        """Start connecting."""
        assert self._link is not None, "open() comes first"
        self._task = asyncio.ensure_future(self._link.run())

    async def ended(self) -> None:
        """Wait until the reconnector has ended; cancelling this does not cancel it."""
        if self._task is not None:
            await asyncio.wait({self._task})


class NetworkThread:
    """Runs the reconnector in a loop and thread of its own: for plain programs, whose handlers may be slow."""

    def __init__(self, make_link: Callable[[], Reconnector]) -> None:
        self._make_link = make_link
        self._opened: concurrent.futures.Future[Reconnector] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._may_start: Optional[Signal] = None
        self._is_decided = False
        self._is_wanted = False
        """Decided, and not wanted: given up before it began."""
        # A daemon thread: should the program die without a word, nothing keeps the process.
        self._thread = threading.Thread(target=self._run, name="swim-client-network", daemon=True)

    def is_this_thread(self) -> bool:
        """Return True if answers are delivered in the calling thread."""
        return self._thread is threading.current_thread()

    async def open(self) -> Reconnector:
        """Start the thread and create the reconnector in it. It does nothing before ``start``."""
        self._thread.start()
        return await asyncio.wrap_future(self._opened)

    def start(self) -> None:
        """Start connecting."""
        self._is_wanted = True
        self._go_on()

    def _go_on(self) -> None:
        self._is_decided = True
        if self._may_start is not None:
            self._may_start.set()

    async def ended(self) -> None:
        """Wait until the reconnector and its thread have ended."""
        self._go_on()
        await asyncio.shield(asyncio.wrap_future(self._ended))
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._may_start = Signal()
        link = self._make_link()
        self._opened.set_result(link)
        if not self._is_decided:
            await self._may_start.wait()
        if self._is_wanted:
            await link.run()


NetworkClass = Union[Type[NetworkTask], Type[NetworkThread]]


class ClientRun:
    """Reconnector, inbox and dispatcher of one run. Once open, any thread may call ``send`` and ``stop``."""

    def __init__(
        self,
        opener: Opener,
        *,
        handlers: Handlers,
        flights: FlightMirror,
        subscriptions: Subscriptions,
        settings: Settings,
        resume_file: Optional[ResumeFile],
        handled: Optional[EventId],
        on_connected: Callable[[], None],
    ) -> None:
        self._opener = opener
        self._subscriptions = subscriptions
        self._settings = settings
        self._on_connected = on_connected
        self._inbox = Inbox(settings.max_queued_events, settings.max_queued_bytes)
        lost = None if resume_file is None else resume_file.fault
        self._progress = Progress(handled, is_enabled=settings.resume, lost=lost)
        if resume_file is not None and handled == resume_file.saved:
            self._progress.epoch = resume_file.epoch
        self._dispatcher = Dispatcher(
            self._inbox,
            handlers,
            flights=flights,
            resume_file=resume_file,
            handled=handled,
            on_connected=self._greeting_handled,
        )
        self._network: Union[NetworkTask, NetworkThread, None] = None
        self._link: Optional[Reconnector] = None
        self._closed = Answer(self.is_network_thread)

    @property
    def client_id(self) -> Optional[str]:
        """The server's id for the current connection; None without one."""
        return self._link.client_id if self._link is not None else None

    @property
    def handled(self) -> Optional[EventId]:
        """Everything up to this id has been handled."""
        return self._dispatcher.handled

    def is_network_thread(self) -> bool:
        """Return True if the calling thread is the one that delivers answers."""
        return self._network is not None and self._network.is_this_thread()

    async def open(self, network_class: NetworkClass) -> None:
        """Create the network side; it does nothing before ``run``."""
        self._network = network_class(self._make_link)
        self._link = await self._network.open()

    def _make_link(self) -> Reconnector:
        return Reconnector(
            self._opener,
            inbox=self._inbox,
            progress=self._progress,
            subscriptions=self._subscriptions,
            settings=self._settings,
            closed=self._closed,
        )

    async def run(self) -> None:
        """Connect, and deliver what arrives, until stopped. Raises the error that ends it otherwise."""
        assert self._network is not None, "open() comes first"
        self._network.start()
        await self._dispatcher.run()

    def send(self, command: Command) -> None:
        """Send a request."""
        if self._link is None:
            command.answer.fail(ClientStopped())
            return
        if current_task() is self._dispatcher.task:
            # The answer stands behind events that this handler keeps from being read: make room for them.
            self._inbox.hold_open()
            command.answer.add_done_callback(lambda _: self._inbox.release())
        self._link.send(command)

    def stop(self) -> Answer:
        """Close permanently. The answer means that the connection is closed; a running handler may finish."""
        self._dispatcher.is_stopping = True
        if self._link is not None:
            self._link.stop()
        return self._closed

    async def finish(self) -> None:
        """Close and release everything; pending requests fail. Waits until done."""
        self.stop()
        self._inbox.abandon()
        try:
            if self._network is not None:
                await self._network.ended()
        finally:
            error = self._inbox.error
            for wish in self._subscriptions.snapshot().wishes:
                if wish.answer is not None:
                    wish.answer.fail(error if isinstance(error, SwimError) else ClientStopped())
            self._closed.resolve(None)

    def _greeting_handled(self) -> None:
        if self._link is not None:
            self._link.first_greeting_handled.set()
        self._on_connected()


def current_task() -> Optional[asyncio.Task[Any]]:
    """Return the task that this code runs in; None outside an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
