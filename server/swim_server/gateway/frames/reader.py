"""Reads one client's bytes: frames go to the library, whole messages to the owner.

A frame is passed on only when the one before it has been answered, so pongs and answers keep the order of what they
answer. What one client may cost in a turn of the loop is bounded; the rest waits, unread, for later turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from websockets.frames import CloseCode as LibraryCloseCode
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from swim_server.gateway.frames.cutter import FrameCutter, Piece
from swim_server.gateway.frames.text_check import TextCheck, is_utf8
from swim_server.gateway.read_gate import Hold, ReadGate
from swim_server.gateway.work_queue import WorkQueue

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

STOPS_WORK = Hold.UNWRITTEN | Hold.UNANSWERED | Hold.RATE | Hold.ABUSE
"""While one of these holds, even what was already received is not processed."""

LIGHT_FRAMES = 8
LIGHT_BYTES = 8 * 1024
LIGHT_SECONDS = 0.002
"""Input that costs less than this is processed before all other: most clients send a line now and then."""
HEAVY_SECONDS = 1.0
"""After expensive input, a client's input is queued with other expensive input for this long."""
MOST_LIGHT_BYTES = 512 * 1024
"""Input that may inflate to more counts as expensive."""
MAX_LATE_BYTES = 1024 * 1024
"""How much a client may still send after we began to close; beyond it, it is not read, and dropped in time."""
TURN_SECONDS = 0.003
"""One client's turn ends after this time, even if its budget is not used up."""


class ReadingQueues(NamedTuple):
    """The queues in which input waits: each gets a part of every turn of the loop."""

    light: WorkQueue
    heavy: WorkQueue
    """Expensive input waits here, without delaying other clients."""
    monotonic: Callable[[], float]


class ReadLimits(Protocol):
    """How long messages may be."""

    @property
    def hard_limit_bytes(self) -> int:
        """A longer message ends the connection (1009)."""

    @property
    def kept_bytes(self) -> int:
        """Only this much is kept of a longer message, to refuse it."""


class TurnBudget(Protocol):
    """What one client may cost in one turn of the loop."""

    max_turn_frames: int
    max_turn_bytes: int


class FrameOwner(Protocol):
    """The endpoint whose frames are read."""

    @property
    def ws(self) -> ServerProtocol:
        """The library's protocol, made again if it was given up."""

    @property
    def ignores_input(self) -> bool:
        """Whether the library ignores whatever still comes."""

    @property
    def is_open(self) -> bool:
        """Whether messages are answered."""

    def count_frame(self, opcode: int, size_bytes: int) -> None:
        """Count a frame and its inflated size in bytes; may close the connection, or stop reading."""

    def on_message(self, payload: bytes, size_bytes: int, *, is_text: bool) -> None:
        """Answer a complete message. If it is too long to be answered, ``payload`` is its beginning."""

    def flush(self) -> None:
        """Write what the library wants to send."""

    def rest(self) -> None:
        """Give up the reader and the library's protocol if new ones would do the same when bytes come."""

    def leave(self) -> None:
        """Follow the library, which has begun to close: the client asked for it, or violated the protocol."""


class FrameReader:
    """Reads one client's frames. Created at the upgrade."""

    __slots__ = (
        "_budget", "_check", "_cutter", "_fragments", "_gate", "_heavy_until", "_is_compressed", "_is_in_message",
        "_is_queued", "_is_refused", "_is_text", "_is_whole", "_late_bytes", "_limits", "_message_bytes", "_owner",
        "_queue", "_queues",
    )  # fmt: skip

    def __init__(
        self,
        owner: FrameOwner,
        gate: ReadGate,
        queues: ReadingQueues,
        budget: TurnBudget,
        limits: ReadLimits,
    ) -> None:
        self._owner = owner
        self._gate = gate
        self._queues = queues
        self._queue = queues.light
        """Where its work waits, or will wait next."""
        self._heavy_until = 0.0
        """``monotonic`` when the cost of its input is forgotten."""
        self._budget = budget
        self._limits = limits
        self._cutter = FrameCutter(limits.hard_limit_bytes, limits.kept_bytes)
        self._fragments = bytearray()
        """The part of the current message that is kept."""
        self._message_bytes = 0
        self._late_bytes = 0  # that came after we began to close
        self._is_text = False
        self._is_compressed = False
        self._is_in_message = False
        """Whether the last frame of a message is still to come."""
        self._is_refused = False
        """Whether a frame came that the library rejects, perhaps not before all of it has come."""
        self._is_whole = True
        """Whether the last piece was the end of a frame, and no message is incomplete."""
        self._check: TextCheck | None = None
        """Checks a text message that comes in several pieces."""
        self._is_queued = False

    def receive(self, data: bytes) -> None:
        """Take received bytes and process them, now or in their turn."""
        if self._owner.ignores_input:
            return
        self._cutter.add(data)
        if self._is_queued:
            self._gate.add(Hold.UNREAD)
        else:
            self._is_queued = True
            self._queue = self._queues.light  # which moves it to the other queue if it looks expensive
            self._queue.submit(self._work)

    def wake(self) -> None:
        """Continue with what waits here, now that nothing holds it."""
        if self._cutter and not self._is_queued:
            self._is_queued = True
            self._queue.put_off(self._work)

    def note_heavy(self) -> None:
        """Let what follows wait with other expensive input for a while."""
        self._heavy_until = self._queues.monotonic() + HEAVY_SECONDS

    def rest(self, now: float) -> None:
        """Let the owner rest between two frames, unless there is something to remember: they are half its memory."""
        if self._is_whole and not self._is_refused and now >= self._heavy_until:
            self._owner.rest()

    def discard(self) -> None:
        """Drop what waits here: the connection is gone."""
        self._cutter.clear()

    def _work(self) -> None:
        """Process what was received, within the budget of one turn."""
        began = self._queues.monotonic()
        if self._queue is self._queues.light and not self._looks_light(began):
            self._queue = self._queues.heavy
            self._queue.submit(self._work)
            return
        self._is_queued = False
        self._work_for_a_turn(began)
        self._queue = self._queues.light if began >= self._heavy_until else self._queues.heavy
        if self._owner.ignores_input:
            self._cutter.clear()
        if not self._cutter:
            self.rest(began)
        if not self._cutter.has_piece:
            self._gate.remove(Hold.UNREAD)
        elif not self._gate.has(STOPS_WORK):
            self._gate.add(Hold.UNREAD)
            self._is_queued = True
            self._queue.put_off(self._work)

    def _looks_light(self, now: float) -> bool:
        """Tell whether what waits is expected to cost little: it is short, and what came before it cost little."""
        cutter = self._cutter
        return len(cutter) < LIGHT_BYTES and cutter.most_bytes <= MOST_LIGHT_BYTES and now >= self._heavy_until

    def _work_for_a_turn(self, began: float) -> None:
        monotonic = self._queues.monotonic
        max_frames, max_bytes = self._budget.max_turn_frames, self._budget.max_turn_bytes
        if self._queue is self._queues.light:
            max_frames, max_bytes = min(max_frames, LIGHT_FRAMES), min(max_bytes, LIGHT_BYTES)
        frames, size_bytes, spent_seconds = 0, 0, 0.0
        while frames < max_frames and size_bytes < max_bytes and spent_seconds < TURN_SECONDS:
            piece = None if self._gate.has(STOPS_WORK) else self._cutter.next(max_bytes - size_bytes)
            if piece is None:
                break
            size_bytes += self._read(piece)
            frames += piece.is_end
            spent_seconds = monotonic() - began
        if frames >= LIGHT_FRAMES or size_bytes >= LIGHT_BYTES or spent_seconds >= LIGHT_SECONDS:
            self.note_heavy()

    def _read(self, piece: Piece) -> int:
        """Pass one piece to the library and answer complete messages; return the cost in bytes."""
        owner = self._owner
        protocol = owner.ws
        was_open = protocol.state is State.OPEN
        if not was_open:
            self._count_late(piece)
        if was_open and not piece.is_control and not self._is_text_so_far(piece):
            self._refuse_text()
        else:
            protocol.receive_data(piece.data)
        self._note_what_is_incomplete(piece)
        cost = piece.size_bytes
        for event in protocol.events_received():
            frame = cast(Frame, event)
            cost = max(cost, len(frame.data))
            if owner.is_open:
                owner.count_frame(piece.opcode, max(cost, piece.frame_bytes))
            if owner.is_open:
                self._on_frame(frame, len(frame.data) if self._is_compressed else piece.frame_bytes)
            frame.data = b""  # the library's parser keeps the last frame until the next one comes
        if was_open and owner.is_open and protocol.state is not State.OPEN:
            owner.leave()
        else:
            owner.flush()
        return cost

    def _note_what_is_incomplete(self, piece: Piece) -> None:
        self._is_refused = self._is_refused or piece.is_refused
        if piece.is_end and not piece.is_control:
            self._is_in_message = not piece.is_final
        self._is_whole = piece.is_end and not self._is_in_message

    def _count_late(self, piece: Piece) -> None:
        """Read on for the answer to our close, but only up to a limit."""
        self._late_bytes += piece.size_bytes
        if self._late_bytes > MAX_LATE_BYTES:
            self._gate.add(Hold.ABUSE)

    def _is_text_so_far(self, piece: Piece) -> bool:
        """Check a piece of an uncompressed text message in several pieces before it is read."""
        if piece.is_start and piece.opcode != Opcode.CONT:
            self._is_text, self._is_compressed = piece.opcode == Opcode.TEXT, piece.is_compressed
            is_whole = piece.is_end and piece.is_final and piece.frame_bytes <= self._limits.kept_bytes
            self._check = None if is_whole else TextCheck()
        if self._check is None or not self._is_text or self._is_compressed:
            return True
        return self._check.passes(piece.payload, is_end=piece.is_end and piece.is_final)

    def _on_frame(self, frame: Frame, size_bytes: int) -> None:
        """Assemble messages. Control frames have been answered by the library."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            if frame.fin:
                self._on_message(bytes(frame.data), size_bytes)
                return
            self._message_bytes = 0
        elif frame.opcode is not Opcode.CONT:
            return
        if not self._is_inflated_text_so_far(frame):
            self._refuse_text()
            return
        self._message_bytes += size_bytes
        if self._message_bytes > self._limits.hard_limit_bytes:
            self._owner.ws.fail(LibraryCloseCode.MESSAGE_TOO_BIG, f"over {self._limits.hard_limit_bytes} bytes")
            return
        self._fragments += frame.data[: self._limits.kept_bytes + 1 - len(self._fragments)]
        if frame.fin:
            payload, self._fragments = bytes(self._fragments), bytearray()
            self._owner.on_message(payload, self._message_bytes, is_text=self._is_text)

    def _is_inflated_text_so_far(self, frame: Frame) -> bool:
        """Check a fragment of a compressed text message."""
        if self._check is None or not (self._is_compressed and self._is_text):
            return True
        return self._check.passes(bytes(frame.data), is_end=frame.fin)

    def _on_message(self, payload: bytes, size_bytes: int) -> None:
        """Answer a message in one frame, checking it first if it came in one piece."""
        if self._is_text and (self._check is None or self._is_compressed) and not is_utf8(payload):
            self._refuse_text()
        else:
            self._owner.on_message(payload, size_bytes, is_text=self._is_text)

    def _refuse_text(self) -> None:
        self._owner.ws.fail(LibraryCloseCode.INVALID_DATA, "invalid UTF-8 in a text message")
