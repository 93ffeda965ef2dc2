"""One listening client: the minimum that reads WebSocket frames and checks the order of events. No I/O."""

from __future__ import annotations

import re
from enum import Enum

from swimctl.bench.mark import MARK_BYTES, SEQUENCE_FROM_END, SEQUENCE_TO_END, read_mark

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
STEP_BITS = 14
"""Latencies are counted in steps of 2^14 ns, 16 µs."""
_LAST_EVENT = re.compile(rb'"last_event_id":"([^"]+)"')
_RETRY = re.compile(rb"retry_ms=(\d{1,6})")


class Stage(Enum):
    """How far a client has got."""

    UPGRADING = "upgrading"
    GREETED = "greeted"
    LISTENING = "listening"
    ENDED = "ended"


class Tally:
    """What all listeners of a process have received."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.marks: dict[bytes, tuple[int, int]] = {}
        """Sequence and time of the events seen, by the sequence's digits: parsed once for all listeners."""
        self.ids: dict[int, bytes] = {}
        """The ids of the events seen, by sequence."""
        self.resumed = 0
        """How often a listener went on after the last event that it had."""
        self.gaps = 0
        """How often the service said then that something may be missing."""
        self.head = b""
        """The first bytes of the last event's frame: the next frame probably begins with them."""
        self.frame_bytes = 1
        self.deliveries = 0
        self.repeated = 0
        self.bytes = 0
        self.largest_ns = 0
        self.steps: dict[int, int] = {}
        """The number of latencies, by step."""


class Listener:
    """Bytes in, bytes to send out. Frames from a server are not masked; compression was not requested."""

    __slots__ = ("_rest", "_start", "_tally", "close_code", "received", "retry_seconds", "sequence", "stage")

    def __init__(self, tally: Tally) -> None:
        self.stage = Stage.UPGRADING
        self.sequence = 0
        """Sequence of the last event."""
        self.received = 0
        self.close_code: int | None = None
        self.retry_seconds: float | None = None
        """After how long the service asked it to come back."""
        self._start: bytes | None = None
        """The last event before it began to listen; None: it has not listened yet."""
        self._rest = b""
        self._tally = tally

    @property
    def resumes_after(self) -> bytes | None:
        """The id after which it goes on on its next connection; None: it has not listened yet."""
        return self._tally.ids[self.sequence] if self.sequence else self._start

    def begin_again(self) -> None:
        """Begin a new connection; what was received counts on."""
        self.stage = Stage.UPGRADING
        self.close_code = self.retry_seconds = None
        self._rest = b""

    def feed(self, data: bytes, now_ns: int) -> bytes:
        """Process received bytes; return what to send: the subscription once greeted, then pongs."""
        self._tally.bytes += len(data)
        if self.stage is Stage.LISTENING and not self._rest:
            position = self._read_events(data, now_ns)
            return self._read_frames(data, position, now_ns) if position < len(data) else b""
        if self._rest:
            data, self._rest = self._rest + data, b""
        position = 0
        if self.stage is Stage.UPGRADING:
            position = data.find(b"\r\n\r\n") + 4
            if position < 4:
                self._rest = data
                return b""
            if not data.startswith(b"HTTP/1.1 101"):
                self.stage = Stage.ENDED
                return b""
            self.stage = Stage.GREETED
        return self._read_frames(data, position, now_ns)

    def _read_events(self, data: bytes, now_ns: int) -> int:
        """Read frames that look like the previous event's, as nearly all do; return the offset of the first
        other one.
        """
        tally = self._tally
        frame_bytes, marks = tally.frame_bytes, tally.marks
        position, end = 0, frame_bytes
        while end <= len(data) and data.startswith(tally.head, position):
            if not data.startswith(tally.prefix, end - MARK_BYTES):
                break
            mark = marks.get(data[end - SEQUENCE_FROM_END : end - SEQUENCE_TO_END])
            if mark is None:
                break
            self._count(*mark, now_ns)
            position, end = end, end + frame_bytes
        return position

    def _read_frames(self, data: bytes, position: int, now_ns: int) -> bytes:
        answers = b""
        length_all = len(data)
        while position + 2 <= length_all:
            length, start = data[position + 1], position + 2
            if length >= 126:
                start = position + (4 if length == 126 else 10)
                if start > length_all:
                    break
                length = int.from_bytes(data[position + 2 : start], "big")
            end = start + length
            if end > length_all:
                break
            opcode = data[position] & 0x0F
            if opcode != TEXT:
                answers += self._control(opcode, data[start:end])
            elif (mark := read_mark(data, end, self._tally.prefix)) is not None:
                self._learn(data, position, start, end, mark)
                self._count(*mark, now_ns)
            elif self.stage is Stage.GREETED and data.startswith(b'{"type":"subscribed"', start):
                self._begin_listening(data[start:end])
            position = end
        self._rest = data[position:]
        return answers

    def _begin_listening(self, answer: bytes) -> None:
        self.stage = Stage.LISTENING
        if self._start is None:
            found = _LAST_EVENT.search(answer)
            self._start = found[1] if found else b"0-0"
        else:
            self._tally.resumed += 1
            self._tally.gaps += b'"gap":true' in answer

    def _count(self, sequence: int, at_ns: int, now_ns: int) -> None:
        tally = self._tally
        if sequence <= self.sequence:
            tally.repeated += 1
            return
        self.sequence = sequence
        self.received += 1
        tally.deliveries += 1
        latency = now_ns - at_ns
        tally.largest_ns = max(tally.largest_ns, latency)
        steps = latency >> STEP_BITS
        tally.steps[steps] = tally.steps.get(steps, 0) + 1

    def _learn(self, data: bytes, position: int, start: int, end: int, mark: tuple[int, int]) -> None:
        tally = self._tally
        tally.head, tally.frame_bytes = data[position:start], end - position
        tally.marks[data[end - SEQUENCE_FROM_END : end - SEQUENCE_TO_END]] = mark
        begin = data.index(b'"id":"', start, end) + 6
        tally.ids[mark[0]] = data[begin : data.index(b'"', begin, end)]

    def _control(self, opcode: int, payload: bytes) -> bytes:
        if opcode == PING:
            return bytes([0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload
        if opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            found = _RETRY.search(payload)
            self.retry_seconds = int(found[1]) / 1000 if found else None
            self.stage = Stage.ENDED
        return b""
