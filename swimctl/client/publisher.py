"""Publishes events through the control socket, each exactly once, even across a daemon restart or an interruption."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock

from swimctl.client.session import RpcFailed, SessionLost
from swimctl.errors import CommandFailed, DaemonNotRunning

if TYPE_CHECKING:
    from types import FrameType

    from swimctl.event_lines import NumberedEvent

ANSWER_SECONDS = 60.0
UNAVAILABLE = -32000
"""The daemon can't store events at the moment: nothing was stored, and it is safe to send again."""
PAUSE_SECONDS = 0.2


class Storing(Protocol):
    """Anything that stores events: the control socket, or a remote service."""

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Any:
        """Store the events of a ``publish`` request."""

    def close(self) -> None:
        """Close the connection. Idempotent."""


Report = Callable[[str, str, bool], None]
"""Called for each stored event: id, type, whether it had been stored before."""


class EventRefused(CommandFailed):
    """The daemon refused this event; those before it are stored."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


class Interrupted(Exception):
    """The user interrupted the command; no request is pending."""


class Publisher:
    """Stores batches in order and reports each event once it is stored.

    Every event is sent with an ``event_id``, its own or a generated one, so that a batch whose answer was lost can be
    sent again without being stored twice.
    """

    def __init__(
        self,
        connect: Callable[[], Storing],
        report: Report,
        *,
        nonce: str,
        patience_seconds: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.stored = 0
        self.duplicates = 0
        self._connect = connect
        self._report = report
        self._nonce = nonce
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._control: Storing | None = None
        self._is_storing = False
        self._should_stop = False

    def open(self) -> None:
        """Connect. Raises DaemonNotRunning."""
        self._control = self._connect()

    def close(self) -> None:
        """Close the connection."""
        if self._control is not None:
            self._control.close()

    def publish(self, batch: Sequence[NumberedEvent]) -> None:
        """Store a batch and report its events; exactly the reported events are stored. Raises CommandError.

        Raises Interrupted, after the report, if a signal arrived meanwhile.
        """
        try:
            self._is_storing = True
            self._store(batch)
        except RpcFailed as failed:
            index = failed.data.get("index") if isinstance(failed.data, dict) else None
            if not isinstance(index, int) or not 0 <= index < len(batch):
                raise
            if index:
                self._store(batch[:index])  # it is all or nothing; those before the refused one are valid
            raise EventRefused(batch[index].line, failed.problem) from None
        finally:
            self._is_storing = False
        if self._should_stop:
            raise Interrupted

    def _store(self, batch: Sequence[NumberedEvent]) -> None:
        rows = [{"event_id": f"{self._nonce}-{event.line}", **event.event} for event in batch]
        for row, published in zip(rows, self._ask(rows), strict=True):
            self.stored += not published["duplicate"]
            self.duplicates += published["duplicate"]
            self._report(published["id"], row["type"], published["duplicate"])

    def _ask(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send until answered; wait for a daemon that goes away."""
        give_up: float | None = None
        while True:
            try:
                if self._control is None:
                    self.open()
                assert self._control is not None, "open has connected"
                answer = self._control.call("publish", {"events": rows}, ANSWER_SECONDS)
                return list(answer["published"])
            except (SessionLost, DaemonNotRunning, CommandFailed) as error:
                if isinstance(error, RpcFailed) and error.code != UNAVAILABLE:
                    raise
                give_up = give_up or self._clock.monotonic() + self._patience_seconds
                if self._clock.monotonic() >= give_up:
                    raise
                if not isinstance(error, RpcFailed):
                    self.close()
                    self._control = None
            self._clock.block(PAUSE_SECONDS)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP: stop at once when idle, otherwise after the current batch."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._is_storing or self._should_stop:
            raise Interrupted
        self._should_stop = True
