"""Answers the usual input of a client at once: one whole text message between two others, without a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.frames import Opcode

from swim_server.gateway.frames.reader import LIGHT_BYTES, STOPS_WORK
from swim_server.gateway.frames.whole_text import whole_text

if TYPE_CHECKING:
    from swim_server.gateway.frames.reader import FrameOwner, ReadingQueues, ReadLimits
    from swim_server.gateway.read_gate import ReadGate


def answer_at_once(
    owner: FrameOwner, gate: ReadGate, queues: ReadingQueues, limits: ReadLimits, data: bytes
) -> float | None:
    """Answer a message as a reader would; return the seconds that it took, or None: it takes a reader.

    Call only between two frames, of a client without a negotiated extension.
    """
    if len(data) >= LIGHT_BYTES or not owner.is_open or gate.has(STOPS_WORK) or not queues.light.has_time():
        return None
    payload = whole_text(data, limits.kept_bytes)
    if payload is None:
        return None
    began = queues.monotonic()
    owner.count_frame(Opcode.TEXT, len(data))
    if owner.is_open:
        owner.on_message(payload, len(payload), is_text=True)
    return queues.monotonic() - began
