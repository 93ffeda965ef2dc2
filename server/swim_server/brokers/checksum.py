"""Checksums of what history stores: computed once when it is stored, compared at every read. Pure."""

from __future__ import annotations

from functools import lru_cache

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # the same checksums, 3 to 14 times slower
    from zlib import crc32

__all__ = ["HALF", "MASK", "crc32", "event_checksum", "name_checksum", "row_checksum", "type_seed"]

HALF = 1 << 31
"""Subtracted, so that a checksum fits into four signed bytes."""
MASK = 0xFFFFFFFF


def event_checksum(packed_id: int, event_type: str, wire: bytes) -> int:
    """Return the CRC-32 of an event with its id and its type, as a signed 32-bit integer.

    Id and type are the start value: a CRC is one-to-one in it, so any single flipped bit is detected.
    """
    return crc32(wire, (packed_id ^ packed_id >> 32 ^ type_seed(event_type)) & MASK) - HALF


def name_checksum(packed_id: int, digest: str) -> int:
    """Return the checksum of a producer's event id, in the same way."""
    return crc32(digest.encode("utf-8", "surrogateescape"), (packed_id ^ packed_id >> 32) & MASK) - HALF


def row_checksum(*values: object) -> int:
    """Return the checksum of a row of a small table, in the same way."""
    return crc32("\x1f".join(map(str, values)).encode("utf-8", "surrogateescape")) - HALF


@lru_cache(1024)
def type_seed(event_type: str) -> int:
    """Return the start value of the checksum for events of a type."""
    return crc32(event_type.encode("utf-8", "surrogateescape"))
