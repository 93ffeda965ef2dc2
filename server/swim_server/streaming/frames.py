"""Ready WebSocket frames. Server frames carry no mask, so the same bytes serve every client (RFC 6455, section 5.1)."""

from __future__ import annotations

from websockets.frames import Frame, Opcode


def text_frame(payload: bytes) -> bytes:
    """Frame one text message, unfragmented."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def ping_frame(payload: bytes) -> bytes:
    """Frame one ping; at most 125 bytes of payload (RFC 6455, section 5.5)."""
    return Frame(Opcode.PING, payload).serialize(mask=False)
