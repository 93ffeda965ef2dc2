"""Ready WebSocket frames. Server frames carry no mask, so the same bytes serve every client (RFC 6455, section 5.1)."""

from __future__ import annotations

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

COMPRESS_FROM_BYTES = 512
"""A shorter message goes plain, also to those who negotiated compression: little to gain (RFC 7692, section 6)."""


def text_frame(payload: bytes) -> bytes:
    """Frame one text message, unfragmented."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def deflated_frame(payload: bytes, window_bits: int) -> bytes:
    """Frame one text message, compressed by itself: for all who negotiated ``server_no_context_takeover``."""
    deflate = PerMessageDeflate(True, True, 15, window_bits)
    return Frame(Opcode.TEXT, payload).serialize(mask=False, extensions=[deflate])


def ping_frame(payload: bytes) -> bytes:
    """Frame one ping; at most 125 bytes of payload (RFC 6455, section 5.5)."""
    return Frame(Opcode.PING, payload).serialize(mask=False)
