"""The life over many connections: connect, serve, wait, connect again, until stopped or refused for good."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Optional

from swim_client.answer import Answer
from swim_client.backoff import Backoff
from swim_client.closing import NORMAL, Ending
from swim_client.commands import Command, Commands
from swim_client.errors import AuthenticationError, ClientStopped, ConnectionLost, SwimError
from swim_client.inbox import Inbox, Item, Signal
from swim_client.opening import Line, NotOpened, Opener
from swim_client.resume import Progress
from swim_client.session import Session, disconnected_notice
from swim_client.settings import Settings
from swim_client.subscriptions import Subscriptions

_log = logging.getLogger("swim_client")


class Reconnector:
    """Keeps one client connected. Made and run inside the network's loop; any thread may ``send`` and ``stop``."""

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
        """The connection at hand."""
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
        """The name of the connection at hand; None while there is none."""
        session = self.session
        return session.client_id if session is not None else None

    def stop(self) -> None:
        """Close for good. Any thread may call this, more than once."""
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
        """Let the connection at hand, or the next one, send a request."""
        self.commands.put(command)

    async def run(self) -> None:
        """Stay connected. Ends when stopped, or with an error after which nothing can be done; the inbox tells."""
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
        if not self._settings.reconnect:
            raise ConnectionLost(f"can't connect to {self._opener.address}: {failure.reason}") from None
        told = failure.retry_after_seconds
        self._look_at_limits()
        wait = self._backoff.wait_seconds() if told is None else self._backoff.wait_as_told_seconds(told)
        _log.warning("can't connect to %s: %s; trying again in %.1f s", self._opener.address, failure.reason, wait)
        return wait

    async def _serve(self, socket: Line) -> float:
        """Serve one connection to its end. Returns how long to wait before the next; raises when there is none."""
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
        """Keep to what the program may have changed since."""
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
        advice = ending.advice_seconds()
        if advice is not None and was_greeted:
            return advice  # the server's way to spread its clients; it is no failure, so the backoff doesn't grow
        self._look_at_limits()
        wait = self._backoff.wait_after_session_seconds() if was_greeted else self._backoff.wait_seconds()
        return wait if advice is None else max(wait, advice)
