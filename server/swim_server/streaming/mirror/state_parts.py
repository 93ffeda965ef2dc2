"""The parts of one state, shared by all clients that ask for it at one moment; and the queue of one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from swim_server.streaming.framed_event import COMPRESS_FROM_BYTES, PLAIN, frame_payload

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId


class StateParts:
    """Messages, each framed once, when it is first written."""

    def __init__(self, as_of: EventId, payloads: list[bytes], left_out: int, window_bits: int) -> None:
        self.as_of = as_of
        self.payloads = payloads
        self.left_out = left_out
        """Entries that are longer than these clients accept."""
        self.size_bytes = sum(map(len, payloads))
        self._window_bits = window_bits
        self._frames: list[bytes | None] = [None] * len(payloads)

    def frame(self, number: int) -> tuple[bytes, bool]:
        """Return the frame of a part, and whether it had to be compressed, which is expensive."""
        found = self._frames[number]
        if found is not None:
            return found, False
        payload = self.payloads[number]
        found = self._frames[number] = frame_payload(payload, self._window_bits)
        return found, self._window_bits > PLAIN and len(payload) >= COMPRESS_FROM_BYTES


class PartsQueue:
    """What precedes a state, and the parts of it that one client has not been sent. Shares them, without a copy."""

    __slots__ = ("_answers", "_next", "_parts", "call_soon")

    def __init__(
        self, answers: Iterable[bytes], parts: StateParts, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._answers = deque(answers)
        """Frames."""
        self._parts = parts
        self._next = 0
        self.call_soon = call_soon
        """Continues in the loop's next turn."""

    def __bool__(self) -> bool:
        return bool(self._answers) or self._next < len(self._parts.payloads)

    def take(self) -> tuple[bytes, bool]:
        """Take the next frame; also tell whether others should have a turn before the one after it."""
        if self._answers:
            return self._answers.popleft(), False
        number, self._next = self._next, self._next + 1
        return self._parts.frame(number)
