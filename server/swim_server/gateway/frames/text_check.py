"""Whether a text message is UTF-8, told as soon as it is certain that it is not (RFC 6455, section 8.1). Pure."""

from __future__ import annotations

import codecs

_new_decoder = codecs.getincrementaldecoder("utf-8")


class TextCheck:
    """Follows one text message, in whatever pieces it comes."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = _new_decoder("strict")

    def passes(self, data: bytes, *, is_end: bool) -> bool:
        """Take the next bytes of the message, and whether they are its last; False: this is no UTF-8."""
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
