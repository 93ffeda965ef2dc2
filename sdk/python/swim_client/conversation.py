"""What one connection sends: all subscriptions in one message, then each of the program's requests in turn.

Only one request is pending at a time, so that an error belongs to the one that waits for its answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Mapping, NamedTuple, Optional, Union

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from swim_client.errors import ConnectionLost, NoAnswer, RequestRefused, SwimError
from swim_client.events import decode
from swim_client.inbox import Inbox, Signal
from swim_client.resume import EventId, Progress, parse_id
from swim_client.subscriptions import Command, Commands, PendingSubscription, Subscriptions, merge

WINDOW_SECONDS = 1.0
ANSWER_SECONDS = 30.0
HELD_UP_SECONDS = 300.0
PATIENCE_SECONDS = 3.0
"""After so long with a full inbox it may be the answer itself that the handlers wait for."""
RATE_LIMIT_SECONDS = 1.1
"""The server ignores what comes before the second is over."""
HANDLERS_SECONDS = 5.0
"""How long the first subscribe waits for the handlers of ``connected``, which may subscribe to more."""
TOGETHER_SECONDS = 0.05

_log = logging.getLogger("swim_client")


class RateLimiter:
    """Limits requests to a number per second; further ones wait."""

    def __init__(self, per_second: int = 8, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sent: Deque[float] = deque(maxlen=per_second)
        self._monotonic = monotonic

    def wait_seconds(self) -> float:
        """Return how long the next request has to wait."""
        if len(self._sent) < (self._sent.maxlen or 1):
            return 0.0
        return max(0.0, self._sent[0] + WINDOW_SECONDS - self._monotonic())

    async def turn(self) -> None:
        """Wait until one request may be sent, and count it."""
        wait = self.wait_seconds()
        if wait:
            await asyncio.sleep(wait)
        self._sent.append(self._monotonic())


class Refusal(NamedTuple):
    """An ``error`` message of the server."""

    code: str
    message: str
    data: Dict[str, Any]

    @classmethod
    def read(cls, message: Mapping[str, Any], redact: Callable[[str], str]) -> Refusal:
        """Parse code and text, at the top or in ``data``; the key is removed if it occurs in them."""
        data = message.get("data")
        data = data if isinstance(data, dict) else {}
        return cls(
            redact(str(message.get("code") or data.get("code") or "")),
            redact(str(message.get("message") or data.get("message") or "")),
            data,
        )

    def error(self) -> RequestRefused:
        """Return the refusal as an exception for the program."""
        return RequestRefused(self.code, self.message, self.data)


class Requests:
    """Sends a request and waits for its answer, which the session passes in."""

    def __init__(self, socket: ClientConnection, *, inbox: Inbox, messages_per_second: int) -> None:
        self._socket = socket
        self._inbox = inbox
        self._pace = RateLimiter(messages_per_second)
        self._waiter: Optional[asyncio.Future[Union[Refusal, Dict[str, Any]]]] = None
        self._awaited = ""
        self._hides_refusal = False

    def answered(self, kind: str, message: Dict[str, Any]) -> None:
        """Accept an answer."""
        if self._waiter is not None and not self._waiter.done() and kind == self._awaited:
            self._waiter.set_result(message)

    def refused(self, refusal: Refusal) -> bool:
        """Accept an error. Returns True if it is handled here and need not be reported elsewhere."""
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_result(refusal)
        return self._hides_refusal or refusal.code == "RATE_LIMITED"

    async def ask(
        self, message: Dict[str, Any], answer_type: str, *, hides_refusal: bool = False, may_overflow: bool = False
    ) -> Union[Refusal, Dict[str, Any], None]:
        """Send one request and wait for its answer; None if there is none. Repeats requests that were rate limited.

        ``may_overflow``: a handler may be waiting for it, so if the inbox stays full, it is allowed to grow.
        """
        while True:
            await self._pace.turn()
            self._waiter, self._awaited = asyncio.get_running_loop().create_future(), answer_type
            self._hides_refusal = hides_refusal
            try:
                await self._socket.send(json.dumps(message))
                _log.debug("sent %s", message["action"])
                answer = await self._answer(self._waiter, may_overflow=may_overflow)
            finally:
                self._waiter = None
            if isinstance(answer, Refusal) and answer.code == "RATE_LIMITED":
                await asyncio.sleep(RATE_LIMIT_SECONDS)
                continue
            if answer is None:
                _log.warning("%s", NoAnswer(message["action"], ANSWER_SECONDS))
            return answer

    async def _answer(
        self, waiter: asyncio.Future[Union[Refusal, Dict[str, Any]]], *, may_overflow: bool
    ) -> Union[Refusal, Dict[str, Any], None]:
        """Wait for the answer. Time during which nothing is read, because handlers are slow, hardly counts."""
        waited, held_up, is_open = 0, 0, False
        try:
            while waited < ANSWER_SECONDS and held_up < HELD_UP_SECONDS:
                done, _ = await asyncio.wait({waiter}, timeout=1.0)
                if done:
                    return waiter.result()
                if not self._inbox.is_held_up:
                    waited += 1
                    continue
                held_up += 1
                if may_overflow and not is_open and held_up >= PATIENCE_SECONDS:
                    is_open = True
                    self._inbox.hold_open()
            return None
        finally:
            if is_open:
                self._inbox.release()


class Silent(SwimError):
    """The server accepted the connection but says nothing."""


class First(NamedTuple):
    """How the connection's first ``subscribe`` was sent."""

    asked: Optional[EventId]
    """Its ``after``."""
    history: Mapping[str, Any]
    """Its ``since`` or ``last``, if it had one."""


class Conversation:
    """Sends the program's requests. ``run`` is its life; the session calls the other methods as it reads."""

    def __init__(
        self,
        requests: Requests,
        *,
        is_held_up: Callable[[], bool],
        progress: Progress,
        subscriptions: Subscriptions,
        commands: Commands,
        first_greeting_handled: Optional[Signal],
        tell_gap: Callable[[Optional[str]], None],
        greeting_seconds: float,
        max_message_bytes: Optional[int],
    ) -> None:
        self.is_probing = False
        """While subscriptions are tried one by one, events are ignored."""
        self._requests = requests
        self._is_held_up = is_held_up
        self._progress = progress
        self._subscriptions = subscriptions
        self._commands = commands
        self._first_greeting_handled = first_greeting_handled
        self._tell_gap = tell_gap
        self._greeting_seconds = greeting_seconds
        self._max_message_bytes = max_message_bytes
        self._greeting: Optional[Mapping[str, Any]] = None
        self._is_greeted = asyncio.Event()
        self._first: Optional[First] = None
        self._is_subscribed = False
        self._refused: Optional[RequestRefused] = None
        """The last refusal of a subscription."""
        self._version = 0
        """The version of the subscriptions that this connection has sent completely."""

    # Called by the session, in the order of what comes in.

    def greeted(self, data: Mapping[str, Any]) -> None:
        """Continue now that the server has accepted the key."""
        self._greeting = data
        self._is_greeted.set()

    def take_first(self) -> Optional[First]:
        """Return how the subscribe now answered was sent, if it was the connection's first; otherwise None."""
        first, self._first = self._first, None
        return first

    # The life of the conversation.

    async def run(self) -> None:
        """Wait for the greeting, subscribe to everything at once, then send the program's requests."""
        await self._await_greeting()
        if self._first_greeting_handled is not None:
            await self._let_handlers_subscribe(self._first_greeting_handled)
        await self._subscribe_to_all()
        self._check_anything_is_left()
        while True:
            command = await self._commands.get()
            try:
                await self._obey(command)
            except (asyncio.CancelledError, ConnectionClosed):
                self._interrupted(command)
                raise

    def _check_anything_is_left(self) -> None:
        """Raise RequestRefused if the server refused every subscription: the program would wait forever."""
        if self._refused is not None and not self._subscriptions:
            raise self._refused

    async def _await_greeting(self) -> None:
        greeted = asyncio.ensure_future(self._is_greeted.wait())
        try:
            # Not wait_for: before Python 3.12 it may swallow a cancellation that comes together with the result.
            await asyncio.wait({greeted}, timeout=self._greeting_seconds)
            if not greeted.done() and not self._is_held_up():
                raise Silent(f"the server took the connection and said nothing for {self._greeting_seconds:g} s")
            await greeted
        finally:
            greeted.cancel()

    async def _let_handlers_subscribe(self, handled: Signal) -> None:
        """Give the handlers of ``connected`` time, so that everything they subscribe to is resumed at once."""
        ran, asked = asyncio.ensure_future(handled.wait()), asyncio.ensure_future(self._commands.wait())
        try:
            await asyncio.wait({ran, asked}, timeout=HANDLERS_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ran.done():
                await asyncio.wait({ran}, timeout=TOGETHER_SECONDS)
        finally:
            ran.cancel()
            asked.cancel()

    async def _obey(self, command: Command) -> None:
        if command.wish is not None:
            await self._subscribe_to(command.wish, command.version)
        elif command.version:
            await self._unsubscribe(command)
        else:
            answer = await self._requests.ask(command.message, command.answer_type, may_overflow=True)
            _bring(command, answer)

    def _interrupted(self, command: Command) -> None:
        """Handle a connection that ended before the server answered."""
        if command.is_repeatable or command.version:
            self._commands.put_back(command)
        else:
            command.answer.fail(ConnectionLost(f"the connection ended before {command.action} was answered"))

    async def _unsubscribe(self, command: Command) -> None:
        if command.version <= self._version or not self._is_subscribed:
            command.answer.resolve(None)
            return
        if not self._subscriptions:
            self._progress.unsubscribed_from_all()
            self._is_subscribed = False
        _bring(command, await self._requests.ask(command.message, command.answer_type))

    async def _subscribe_to(self, wish: PendingSubscription, version: int) -> None:
        if wish.is_confirmed or not wish.channels or version <= self._version:
            if wish.answer is not None:
                wish.answer.resolve(None)
        elif not self._is_subscribed:
            await self._subscribe_to_all()
        elif self._subscriptions.covers(wish):
            self._granted([wish], None)
        else:
            message = self._subscribe_message([wish])
            if wish.state or self._subscriptions.wants_state(granted_only=True):
                message["state"] = True  # other filters, or other channels, have another state
            await self._settle(wish, await self._requests.ask(message, "subscribed"))

    async def _subscribe_to_all(self) -> None:
        """Send all subscriptions in one message, with the id after which to resume."""
        snapshot = self._subscriptions.snapshot()
        self._version = snapshot.version
        wishes = [wish for wish in snapshot.wishes if wish.channels]
        if not wishes:
            return
        answer = await self._requests.ask(self._first_message(wishes), "subscribed", hides_refusal=len(wishes) > 1)
        if not isinstance(answer, Refusal):
            self._is_subscribed = True
            self._granted(wishes, answer)
            await self._ask_for_state(wishes, answer)
            return
        self._first = None
        if len(wishes) == 1:
            await self._settle(wishes[0], answer)
        else:
            await self._find_refused(wishes)

    async def _find_refused(self, wishes: List[PendingSubscription]) -> None:
        """Find the subscription that made the server refuse all: try each alone, then start over with those granted."""
        self.is_probing = True
        granted = []
        for wish in wishes:
            answer = await self._requests.ask(self._subscribe_message([wish]), "subscribed")
            if isinstance(answer, Refusal):
                await self._settle(wish, answer)
            else:
                granted.append(wish)
        if granted:
            await self._requests.ask({"action": "unsubscribe"}, "unsubscribed")
        self.is_probing = False
        if granted:
            await self._subscribe_to_all()

    async def _ask_for_state(self, wishes: List[PendingSubscription], answer: Optional[Dict[str, Any]]) -> None:
        """Request the state if that was impossible together with history, or if none arrived completely."""
        is_there = answer is None or "state_as_of" in answer or self._progress.has_state
        if not is_there and self._progress.server_resumes and self._subscriptions.wants_state():
            await self._requests.ask({**self._subscribe_message(wishes), "state": True}, "subscribed")

    def _subscribe_message(self, wishes: List[PendingSubscription]) -> Dict[str, Any]:
        channels, filters, _ = merge(wishes)
        message: Dict[str, Any] = {"action": "subscribe", "channels": channels}
        if filters:
            message["filters"] = filters
        return message

    def _first_message(self, wishes: List[PendingSubscription]) -> Dict[str, Any]:
        message = {**self._subscribe_message(wishes), "notices": True}
        if self._max_message_bytes is not None:
            message["max_message_bytes"] = self._max_message_bytes
        history = merge(wishes)[2]
        progress = self._progress
        progress.begins_after(parse_id(history.pop("after", None)))
        progress.asked = progress.point
        self._tell_gap(progress.no_history())
        asked = progress.after
        if asked is not None:
            message["after"] = str(asked)
            if progress.epoch is not None:
                message["epoch"] = progress.epoch
            if self._subscriptions.wants_state():
                message["state"] = "on_gap"
            history = {}
        elif progress.can_resume and history:
            message.update(history)
        else:
            history = {}
            progress.awaits_from((self._greeting or {}).get("last_event_id"))
            if progress.server_resumes and self._subscriptions.wants_state():
                message["state"] = True
        self._first = First(asked, history)
        return message

    async def _settle(self, wish: PendingSubscription, answer: Union[Refusal, Dict[str, Any], None]) -> None:
        if isinstance(answer, Refusal):
            _log.error("not subscribed to %s: %s: %s", ", ".join(wish.channels), answer.code, answer.message)
            self._subscriptions.refuse(wish)
            self._refused = answer.error()
            if wish.answer is not None:
                wish.answer.fail(answer.error())
        else:
            self._granted([wish], answer)

    def _granted(self, wishes: List[PendingSubscription], answer: Optional[Dict[str, Any]]) -> None:
        for wish in wishes:
            if wish.answer is not None:
                wish.answer.resolve(None if answer is None else decode(answer))
        self._subscriptions.confirm(wishes)


def _bring(command: Command, answer: Union[Refusal, Dict[str, Any], None]) -> None:
    """Complete an answer with a reply, a refusal, or an error for the lack of both."""
    if answer is None:
        command.answer.fail(NoAnswer(command.action, ANSWER_SECONDS))
    elif isinstance(answer, Refusal):
        command.answer.fail(answer.error())
    else:
        command.answer.resolve(decode(answer))
