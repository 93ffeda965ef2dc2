"""One run of a client: everything that exists from its start to its end, and no longer."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional, Type, Union

from swim_client.answer import Answer
from swim_client.commands import Command
from swim_client.dispatcher import Dispatcher
from swim_client.errors import ClientStopped, SwimError
from swim_client.flights import FlightMirror
from swim_client.handlers import Handlers
from swim_client.inbox import Inbox
from swim_client.network import NetworkTask, NetworkThread
from swim_client.opening import Opener
from swim_client.reconnector import Reconnector, Settings
from swim_client.resume import EventId, Progress
from swim_client.resume_file import ResumeFile
from swim_client.subscriptions import Subscriptions

NetworkClass = Union[Type[NetworkTask], Type[NetworkThread]]


class ClientRun:
    """Reconnector, inbox and dispatcher of one run. Once open, ``send`` and ``stop`` may be called from any thread."""

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
        """The server's name for the connection at hand; None while there is none."""
        return self._link.client_id if self._link is not None else None

    @property
    def handled(self) -> Optional[EventId]:
        """Everything up to this id has been handled."""
        return self._dispatcher.handled

    def is_network_thread(self) -> bool:
        """Tell whether this very thread is the one that brings answers."""
        return self._network is not None and self._network.is_this_thread()

    async def open(self, network_class: NetworkClass) -> None:
        """Make the network side; it does nothing before ``run``."""
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
        """Connect, and hand over what comes, until stopped. Raises what ends it otherwise."""
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
        """Close for good. The answer means: the connection is closed; a handler that runs still may finish."""
        self._dispatcher.is_stopping = True
        if self._link is not None:
            self._link.stop()
        return self._closed

    async def finish(self) -> None:
        """Close and let go of everything; what the program still waits for fails. Waits until that is done."""
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
    """Return the task that this code runs in; None outside of any loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
