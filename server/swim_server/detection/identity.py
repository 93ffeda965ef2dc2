"""The identity of a flight: its key within one moment, and its number for all time."""

from __future__ import annotations

from hashlib import sha256

UID_BITS = 52
"""Below 2^53: a number that JavaScript clients read without rounding."""


def flight_key(cid: int, callsign: str) -> str:
    """Build the key under which a flight is remembered: member and callsign."""
    return f"{cid} {callsign}"


def flight_uid(cid: int, callsign: str, began: str | None) -> int:
    """Make the flight's number of member, callsign and the time it began: logon, for a prefile its filing.

    The same input gives the same number on every machine. 0 is never given.
    """
    digest = sha256(f"{cid}|{callsign}|{began or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - UID_BITS) or 1
