"""Escapes characters in JSON that would move a cursor, hide text or break a line where it is displayed. Pure.

DEL, the C1 controls, line and paragraph separators, and characters that change the direction of writing are valid
unescaped in a JSON string; escaped, they mean the same and have no effect on a terminal.
"""

from __future__ import annotations

import re

_IN_UTF8 = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xd8\x9c")
_IN_TEXT = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\u061c]")
_DEL = b"\x7f"


def escape_json(encoded: bytes) -> bytes:
    """Escape them in encoded JSON; returns the same object if there are none."""
    if encoded.isascii() and _DEL not in encoded:
        return encoded
    return _IN_UTF8.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), encoded)


def escape_json_text(text: str) -> str:
    """Escape them in JSON text."""
    return _IN_TEXT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
