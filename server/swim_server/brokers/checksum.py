"""Checksums of what history stores: computed once when it is stored, compared whenever it is read. Pure."""

from __future__ import annotations

from functools import lru_cache

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # the same checksums, three to fourteen times as slow
    from zlib import crc32

__all__ = ["HALF", "MASK", "crc32", "event_checksum", "name_checksum", "row_checksum", "type_seed"]

HALF = 1 << 31
"""Subtracted, so that a checksum fits into four signed bytes."""
MASK = 0xFFFFFFFF


def event_checksum(packed_id: int, event_type: str, wire: bytes) -> int:
    """CRC-32 over an event with its id and its type, as a signed integer of four bytes.

    Id and type are the start value: a CRC is one-to-one in it, so that one flipped bit anywhere is noticed.
    """
    return crc32(wire, (packed_id ^ packed_id >> 32 ^ type_seed(event_type)) & MASK) - HALF


def name_checksum(packed_id: int, digest: str) -> int:
    """Return the same for a producer's name of an event."""
    return crc32(digest.encode("utf-8", "surrogateescape"), (packed_id ^ packed_id >> 32) & MASK) - HALF


def row_checksum(*values: object) -> int:
    """Return the same for a row of a small table."""
    return crc32("\x1f".join(map(str, values)).encode("utf-8", "surrogateescape")) - HALF


@lru_cache(1024)
def type_seed(event_type: str) -> int:
    """Begin the checksum of an event with its type."""
    return crc32(event_type.encode("utf-8", "surrogateescape"))
