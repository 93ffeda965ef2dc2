"""The requests of one connection, one at a time: an error that comes belongs to the one that waits for its answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Mapping, NamedTuple, Optional, Union

from websockets.asyncio.client import ClientConnection

from swim_client.errors import NoAnswer, RequestRefused
from swim_client.inbox import Inbox

WINDOW_SECONDS = 1.0


class RateLimiter:
    """Lets at most so many through in any second; the rest wait their turn."""

    def __init__(self, per_second: int = 8, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sent: Deque[float] = deque(maxlen=per_second)
        self._monotonic = monotonic

    def wait_seconds(self) -> float:
        """How long the next one has to wait from now."""
        if len(self._sent) < (self._sent.maxlen or 1):
            return 0.0
        return max(0.0, self._sent[0] + WINDOW_SECONDS - self._monotonic())

    async def turn(self) -> None:
        """Wait for the turn of one request, and take it."""
        wait = self.wait_seconds()
        if wait:
            await asyncio.sleep(wait)
        self._sent.append(self._monotonic())


ANSWER_SECONDS = 30.0
HELD_UP_SECONDS = 300.0
PATIENCE_SECONDS = 3.0
"""After so long with a full inbox it may be the answer itself that the handlers wait for."""
RATE_LIMIT_SECONDS = 1.1
"""The server ignores what comes before the second is over."""

_log = logging.getLogger("swim_client")


class Refusal(NamedTuple):
    """An ``error`` message of the server."""

    code: str
    message: str
    data: Dict[str, Any]

    @classmethod
    def read(cls, message: Mapping[str, Any], redact: Callable[[str], str]) -> Refusal:
        """Code and text stand at the top or in ``data``; the key, should it be in them, is taken out."""
        data = message.get("data")
        data = data if isinstance(data, dict) else {}
        return cls(
            redact(str(message.get("code") or data.get("code") or "")),
            redact(str(message.get("message") or data.get("message") or "")),
            data,
        )

    def error(self) -> RequestRefused:
        """Return the same as an exception for the program that asked."""
        return RequestRefused(self.code, self.message, self.data)


class Requests:
    """Sends, and waits for the answer. The session tells what it reads."""

    def __init__(self, socket: ClientConnection, *, inbox: Inbox, messages_per_second: int) -> None:
        self._socket = socket
        self._inbox = inbox
        self._pace = RateLimiter(messages_per_second)
        self._waiter: Optional[asyncio.Future[Union[Refusal, Dict[str, Any]]]] = None
        self._awaited = ""
        self._hides_refusal = False

    def answered(self, kind: str, message: Dict[str, Any]) -> None:
        """Take an answer."""
        if self._waiter is not None and not self._waiter.done() and kind == self._awaited:
            self._waiter.set_result(message)

    def refused(self, refusal: Refusal) -> bool:
        """Take an error. Returns whether it is dealt with here, so that nobody else needs to hear of it."""
        if self._waiter is None or self._waiter.done():
            return False
        self._waiter.set_result(refusal)
        return self._hides_refusal or refusal.code == "RATE_LIMITED"

    async def ask(
        self, message: Dict[str, Any], answer_type: str, *, hides_refusal: bool = False, may_overflow: bool = False
    ) -> Union[Refusal, Dict[str, Any], None]:
        """Send one request and wait for its answer; None when there is none. Repeats what was rate limited.

        ``may_overflow``: a handler may be what waits for it; so when the inbox is full for long, it is held open.
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
        """Wait for the answer. Time in which nothing is read, because the handlers are slow, hardly counts."""
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
