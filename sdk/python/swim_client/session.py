"""One connection, from the greeting to its end: reads, answers, keeps alive, resumes."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Mapping, Optional, Set, Tuple

from websockets.exceptions import ConnectionClosed

from swim_client.backoff import ABNORMAL, NORMAL, RESTARTING, Ending
from swim_client.conversation import Conversation, Refusal, Requests, Silent
from swim_client.errors import RequestRefused
from swim_client.inbox import Inbox, Item, Signal
from swim_client.opening import Line
from swim_client.resume import EventId, Progress, Recovery, parse_id
from swim_client.subscriptions import Commands, Subscriptions


def _notice(kind: str, data: Dict[str, Any]) -> Dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"type": kind, "timestamp": now, "data": data}


def gap_notice(after: Optional[EventId], reason: str) -> Dict[str, Any]:
    """Build the notice that events after ``after`` may be missing."""
    return _notice("gap", {"after": None if after is None else str(after), "reason": reason})


def reconnected_notice(recovered: Optional[int], after: Optional[EventId], seconds: float) -> Dict[str, Any]:
    """Build the notice that what could be recovered after a break has been delivered."""
    shown = None if after is None else str(after)
    return _notice("reconnected", {"recovered": recovered, "after": shown, "disconnected_seconds": round(seconds, 3)})


def disconnected_notice(code: int, reason: str, retry_in_seconds: Optional[float]) -> Dict[str, Any]:
    """Build the notice that a connection ended; None for the seconds: there won't be another."""
    return _notice(
        "disconnected",
        {
            "code": code,
            "reason": reason,
            "will_reconnect": retry_in_seconds is not None,
            "retry_in_seconds": None if retry_in_seconds is None else round(retry_in_seconds, 3),
        },
    )


QUIET_SECONDS = 1.0
"""A replay that was silent for this long counts as over, in case its last event did not pass the filters."""
_CLOSING_ERRORS = frozenset({"AUTH_FAILED", "AUTH_UNAVAILABLE", "CONNECTION_LIMIT"})
_ANSWERS = frozenset({"subscribed", "unsubscribed", "pong", "status", "publish_ack"})

_scan: Callable[[str, int], Tuple[Any, int]] = getattr(json.JSONDecoder(), "scan_once", json.JSONDecoder().raw_decode)
_log = logging.getLogger("swim_client")


class Session:
    """One open WebSocket. Keeps reading while handlers are slow, until the inbox is full."""

    def __init__(
        self,
        socket: Line,
        *,
        inbox: Inbox,
        progress: Progress,
        subscriptions: Subscriptions,
        commands: Commands,
        ping_interval_seconds: float,
        ping_timeout_seconds: float,
        messages_per_second: int,
        greeting_seconds: float,
        max_message_bytes: Optional[int],
        redact: Callable[[str], str],
        lost_at: Optional[float] = None,
        first_greeting_handled: Optional[Signal] = None,
    ) -> None:
        self.client_id: Optional[str] = None
        """The id that the server gave this connection; None before its greeting."""
        self._socket = socket
        self._inbox = inbox
        self._progress = progress
        self._redact = redact
        self._ping_interval_seconds = ping_interval_seconds
        self._ping_timeout_seconds = ping_timeout_seconds
        self._lost_at = lost_at
        """When the connection before this one ended; None: this is the first."""
        self._requests = Requests(socket, inbox=inbox, messages_per_second=messages_per_second)
        self._conversation = Conversation(
            self._requests,
            is_held_up=lambda: inbox.is_held_up,
            progress=progress,
            subscriptions=subscriptions,
            commands=commands,
            first_greeting_handled=first_greeting_handled,
            tell_gap=self._tell_gap,
            greeting_seconds=greeting_seconds,
            max_message_bytes=max_message_bytes,
        )
        self._recovery: Optional[Recovery] = None
        self._recovery_seen_at = 0.0
        self._closing_error: Optional[Refusal] = None
        self._messages_received = 0
        self._room_task: Optional[asyncio.Task[None]] = None
        """While nothing is read, because the handlers are slow."""

    async def run(self) -> Ending:
        """Serve until the connection ends, or until cancelled: then it is closed with 1000."""
        reader = asyncio.ensure_future(self._read())
        helpers = [asyncio.ensure_future(self._conversation.run()), asyncio.ensure_future(self._keep_alive())]
        try:
            done, _ = await asyncio.wait({reader, *helpers}, return_when=asyncio.FIRST_COMPLETED)
            for helper in helpers:
                if helper in done:
                    try:
                        helper.result()
                    except ConnectionClosed:
                        pass  # the reader hears of it as well, and knows more
                    except Silent as silent:
                        return self._ending(ABNORMAL, str(silent))
                    except RequestRefused as refused:
                        return Ending(NORMAL, str(refused), refused=refused)
            return await reader
        finally:
            await _end({reader, *helpers, *([self._room_task] if self._room_task is not None else [])})
            self._socket.go_on()  # the answer to a close may stand behind what was not read
            self._end_recovery()
            await self._socket.close(NORMAL)

    async def _read(self) -> Ending:
        """Process what arrives, until the connection ends."""
        try:
            self._socket.listen(self._receive)
            while True:
                await self._socket.recv()
        except ConnectionClosed as closed:
            close = closed.rcvd or closed.sent
            if self._socket.failure is not None:
                raise self._socket.failure from None
            is_ours = closed.rcvd is None or closed.rcvd_then_sent is False  # None: the line broke
            return self._ending(close.code if close else ABNORMAL, close.reason if close else "", is_ours=is_ours)

    def _ending(self, code: int, reason: str, *, is_ours: bool = True) -> Ending:
        refusal = self._closing_error
        if refusal is None:
            return Ending(code, reason, is_ours=is_ours)
        retry_ms = refusal.data.get("retry_ms")
        is_number = isinstance(retry_ms, int) and not isinstance(retry_ms, bool) and retry_ms >= 0
        return Ending(code, reason, refusal.code, refusal.message, retry_ms if is_number else None, is_ours)

    def _receive(self, frame: str) -> None:
        self._messages_received += 1
        try:
            message = _read_json(frame)
        except (ValueError, RecursionError) as error:
            _log.warning("a message that is no JSON is ignored: %s", error)
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str):
            _log.warning("a message without a type is ignored")
        elif kind == "connected":
            self._greeted(message, len(frame))
        elif kind == "error":
            self._refused(message, len(frame))
        elif kind.startswith("state") and kind.partition(".")[0] == "state":
            self._told_state(message, len(frame))
        elif kind in _ANSWERS:
            self._answered(kind, message, len(frame))
        else:
            self._happened(kind, message, len(frame))

    def _put(self, message: Mapping[str, Any], size: int) -> None:
        self._inbox.put_now(Item(message, size, self._progress.point))
        if self._room_task is None and not self._inbox.has_room():
            self._socket.pause()
            self._room_task = asyncio.ensure_future(self._read_on())

    async def _read_on(self) -> None:
        """Resume reading once the handlers have made room."""
        await self._inbox.room()
        self._room_task = None
        self._socket.go_on()

    def _greeted(self, message: Dict[str, Any], size: int) -> None:
        data = message.get("data")
        data = data if isinstance(data, dict) else {}
        self.client_id = str(data.get("client_id", ""))
        _log.info("connected as %s", self.client_id)
        self._progress.connected(data)
        self._put(message, size)
        self._conversation.greeted(data)

    def _refused(self, message: Dict[str, Any], size: int) -> None:
        refusal = Refusal.read(message, self._redact)
        if refusal.code == RESTARTING:
            # No refusal of what is being asked, and nothing for the program's error handlers: the close that follows
            # is told as a disconnection.
            self._closing_error = refusal
            _log.debug("the server is about to close: %s", refusal.message)
            return
        if refusal.code == "HISTORY_UNAVAILABLE":
            self._tell_gap(self._progress.history_unavailable())
        elif refusal.code in _CLOSING_ERRORS:
            self._closing_error = refusal
        elif self._requests.refused(refusal):
            return
        _log.warning("the server says %s: %s", refusal.code, refusal.message)
        self._put(message, size)

    def _answered(self, kind: str, message: Dict[str, Any], size: int) -> None:
        if self._conversation.is_probing:
            self._requests.answered(kind, message)
            return
        first = self._conversation.take_first() if kind == "subscribed" else None
        gap, after = None, None
        if first is not None:
            after = first.asked
            gap = self._progress.subscribed(message, asked=after, history=first.history, now=time.monotonic())
        self._put(message, size)
        self._tell_gap(gap)
        if first is not None and self._lost_at is not None:
            self._begin_recovery(Recovery(parse_id(message.get("last_event_id")), after))
        self._requests.answered(kind, message)

    def _told_state(self, message: Dict[str, Any], size: int) -> None:
        """Pass on a part of the state, or an entry that entered or left the filters, in its place among the events."""
        if self._conversation.is_probing:
            return
        self._put(message, size)
        if message.get("is_last") is True:
            self._progress.has_state = True

    def _happened(self, kind: str, message: Dict[str, Any], size: int) -> None:
        if self._conversation.is_probing:
            return  # this subscription is only a trial; what comes now comes again
        now = time.monotonic()
        event_id = parse_id(message.get("id"))
        if kind == "system.heartbeat":
            data = message.get("data")
            self._progress.heartbeat(data.get("last_event_id") if isinstance(data, dict) else None, now=now)
        if self._recovery is not None and self._recovery.is_over_before(event_id):
            self._end_recovery()
        if not self._progress.received(event_id, now=now):
            _log.debug("event %s came before and is dropped", event_id)
            return
        self._put(message, size)
        if self._recovery is not None and event_id is not None:
            self._recovery_seen_at = now
            self._recovery.count()
            if self._recovery.is_over_after(event_id):
                self._end_recovery()

    def _tell_gap(self, reason: Optional[str]) -> None:
        if reason is not None:
            _log.warning("events may be missing: %s", reason)
            self._inbox.put_now(Item(gap_notice(self._progress.asked, reason)))

    def _begin_recovery(self, recovery: Recovery) -> None:
        self._recovery = recovery
        self._recovery_seen_at = time.monotonic()
        if recovery.is_over_at_once:
            self._end_recovery()
        else:
            asyncio.get_running_loop().call_later(QUIET_SECONDS, self._look_after, recovery)

    def _look_after(self, recovery: Recovery) -> None:
        if recovery is not self._recovery:
            return
        quiet = time.monotonic() - self._recovery_seen_at
        if quiet >= QUIET_SECONDS and not self._inbox.is_held_up:
            self._end_recovery()
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(max(QUIET_SECONDS - quiet, 0.1), self._look_after, recovery)

    def _end_recovery(self) -> None:
        recovery, self._recovery = self._recovery, None
        if recovery is not None and self._lost_at is not None:
            seconds = time.monotonic() - self._lost_at
            _log.info("reconnected after %.1f s, %s events recovered", seconds, recovery.recovered)
            self._inbox.put_now(Item(reconnected_notice(recovery.recovered, recovery.after, seconds)))

    async def _keep_alive(self) -> None:
        """Detect a server that is gone without a close; let one that we are not reading from know that we are alive."""
        while True:
            await asyncio.sleep(self._ping_interval_seconds)
            if self._inbox.is_held_up:
                await self._socket.pong()  # unsolicited, as RFC 6455, section 5.5.3, allows: its pings aren't read now
                continue
            before = self._messages_received
            waiter = await self._socket.ping()
            done, _ = await asyncio.wait({asyncio.ensure_future(waiter)}, timeout=self._ping_timeout_seconds)
            if not done and self._messages_received == before and not self._inbox.is_held_up:
                raise Silent(f"nothing heard for {self._ping_timeout_seconds:g} s after a ping")


def _read_json(text: str) -> Any:
    """Parse JSON. Raises ValueError. Optimised for a text that is JSON and nothing else."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


async def _end(tasks: Set[asyncio.Future[Any]]) -> None:
    """Cancel tasks, again if a cancellation was swallowed, until all have ended."""
    waiting = tasks
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1.0)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told that it never was
