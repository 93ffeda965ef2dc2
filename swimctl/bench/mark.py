"""The mark at the end of a measured event: read from the end of a frame without decoding the rest."""

from __future__ import annotations

from typing import Any

MARK_BYTES = len(b'"run":1000000000,"seq":1000000000,"at":1000000000000000000}}')
SEQUENCE_FROM_END = 37
SEQUENCE_TO_END = 27
"""Where the sequence's ten digits begin, counted from the end of the mark."""
_TEN = 10**9
_NINETEEN = 10**18


def marked(run: int, sequence: int, at_ns: int, size_bytes: int) -> dict[str, Any]:
    """Return event data of about ``size_bytes``: ``run`` below 10^9, ``sequence`` from 1, ``at_ns`` monotonic."""
    padding = "x" * max(size_bytes - MARK_BYTES - 150, 0)
    return {
        "message": "load measurement by swimctl bench",
        "padding": padding,
        "run": _TEN + run,
        "seq": _TEN + sequence,
        "at": _NINETEEN + at_ns,
    }


def prefix_of(run: int) -> bytes:
    """Return the text that every mark of a run begins with."""
    return b'"run":%d,"seq":' % (_TEN + run)


def read_mark(frame: bytes, end: int, prefix: bytes) -> tuple[int, int] | None:
    """Return sequence and time from a message that ends at ``end``; None if it is not an event of this run."""
    start = end - MARK_BYTES
    if start < 0 or not frame.startswith(prefix, start):
        return None
    digits = start + len(prefix)
    return int(frame[digits : digits + 10]) - _TEN, int(frame[end - 21 : end - 2]) - _NINETEEN
