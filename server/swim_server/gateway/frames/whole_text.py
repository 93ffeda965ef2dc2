"""The usual case of what comes from a client: one whole text message in one frame, received at once. Pure."""

from __future__ import annotations

from websockets.utils import apply_mask

from swim_server.gateway.frames.text_check import is_utf8

_FINAL_TEXT = 0x81
_MASKED = 0x80
_SHORT_HEAD, _MEDIUM_HEAD = 6, 8
_MEDIUM_FROM = 126


def whole_text(data: bytes, max_bytes: int) -> bytes | None:
    """Return the payload if ``data`` is exactly one final, masked, uncompressed text frame that nobody would refuse.

    None: anything else, which the library judges. ``max_bytes``: a longer payload is left to it, too.
    """
    if len(data) < _SHORT_HEAD or data[0] != _FINAL_TEXT or not data[1] & _MASKED:
        return None
    length, head = data[1] & 0x7F, _SHORT_HEAD
    if length == _MEDIUM_FROM:
        length, head = int.from_bytes(data[2:4], "big"), _MEDIUM_HEAD
    elif length > _MEDIUM_FROM:
        return None
    if len(data) != head + length or length > max_bytes:
        return None
    payload = apply_mask(data[head:], data[head - 4 : head])
    return payload if is_utf8(payload) else None
