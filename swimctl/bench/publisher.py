"""Publishes marked events at an even rate whatever the service does: late events are sent at once, never skipped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from swimctl.bench.mark import marked
from swimctl.client.session import Session, SessionLost, decode
from swimctl.errors import CommandFailed

CHANNEL = "system.notice"
"""Channel of measured events: one that no consumer mistakes for traffic."""
ANSWERS_SECONDS = 15.0


class Load(msgspec.Struct, frozen=True):
    """The number and size of the events to publish."""

    run: int
    rate: float
    """Events per second."""
    seconds: float
    size_bytes: int

    @property
    def events(self) -> int:
        return max(round(self.rate * self.seconds), 1)


class Published(msgspec.Struct):
    """The outcome of publishing."""

    events: int
    acknowledged: int
    seconds: float
    """From the first event sent to the last."""
    ack_ns: list[int]
    """From each event's due time to its acknowledgement."""


class Publisher:
    """Sends in one thread and reads answers in another, so that a slow answer delays no event."""

    def __init__(self, session: Session, load: Load, *, is_local: bool) -> None:
        self._session = session
        self._load = load
        self._is_local = is_local
        """Publish through the control socket; otherwise as a client whose key may publish."""
        self._due_ns: list[int] = []
        self._ack_ns: list[int] = []
        self._refusal: str | None = None
        self._is_done = threading.Event()

    def run(self, tell: Callable[[int], None]) -> Published:
        """Publish all events; call ``tell`` with the count about once a second. Raises CommandFailed when refused."""
        reader = threading.Thread(target=self._take_answers, name="bench-answers", daemon=True)
        reader.start()
        began = time.monotonic_ns()
        told = 0
        for number in range(self._load.events):
            due = began + int(number / self._load.rate * 1e9)
            while (ahead := due - time.monotonic_ns()) > 0:
                time.sleep(ahead / 1e9)
            if self._refusal is not None:
                break
            self._due_ns.append(due)
            self._session.send(self._request(number + 1, due))
            if (due - began) // 10**9 > told:
                told += 1
                tell(number + 1)
        seconds = (time.monotonic_ns() - began) / 1e9
        self._is_done.wait(ANSWERS_SECONDS)
        if self._refusal is not None:
            raise CommandFailed(f"the service refused an event: {self._refusal}", "see: swimctl logs")
        return Published(len(self._due_ns), len(self._ack_ns), seconds, self._ack_ns)

    def _request(self, sequence: int, due_ns: int) -> dict[str, object]:
        data = marked(self._load.run, sequence, due_ns, self._load.size_bytes)
        if self._is_local:
            params = {"events": [{"type": CHANNEL, "data": data}]}
            return {"jsonrpc": "2.0", "id": sequence, "method": "publish", "params": params}
        return {"action": "publish", "channel": CHANNEL, "data": data}

    def _take_answers(self) -> None:
        while len(self._ack_ns) < self._load.events and self._refusal is None:
            try:
                payload = self._session.receive(1.0)
            except SessionLost as lost:
                self._refusal = str(lost)
                break
            if payload is None:
                continue
            answer = decode(payload)
            if "result" in answer or answer.get("type") == "publish_ack":
                self._ack_ns.append(time.monotonic_ns() - self._due_ns[len(self._ack_ns)])
            elif "error" in answer or answer.get("type") == "error":
                error = answer.get("error")
                self._refusal = str(error.get("message") if isinstance(error, dict) else answer.get("message"))
        self._is_done.set()
