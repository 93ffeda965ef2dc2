"""Checks whether a text message is valid UTF-8, failing as early as possible (RFC 6455, section 8.1). Pure."""

from __future__ import annotations

import codecs

_new_decoder = codecs.getincrementaldecoder("utf-8")


class TextCheck:
    """Checks one text message that comes in pieces of any size."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = _new_decoder("strict")

    def passes(self, data: bytes, *, is_end: bool) -> bool:
        """Check the next bytes of the message, and whether they may be its last; False: it is not UTF-8."""
        try:
            self._decoder.decode(data, is_end)
        except UnicodeDecodeError:
            return False
        return True


def is_utf8(payload: bytes) -> bool:
    """Tell whether a whole message is UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
