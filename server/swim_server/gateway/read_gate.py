"""Pauses and resumes reading from a client; several parts may pause it, each for its own reason."""

from __future__ import annotations

import asyncio
from enum import Flag, auto


class Hold(Flag):
    """Why a client isn't read."""

    UNREAD = auto()
    """What came before is still to be processed, in later turns of the loop."""
    UNADMITTED = auto()
    """It sends too much before it is admitted."""
    UNWRITTEN = auto()
    """It doesn't receive what it is sent: each of its requests would add an answer."""
    UNANSWERED = auto()
    """Many of its requests wait for history."""
    RATE = auto()
    """It has sent as many bytes as one second allows."""
    ABUSE = auto()
    """It is being closed for abuse: nothing more of it is processed."""


NONE = Hold(0)


class ReadGate:
    """Pauses reading from a transport while there is any reason, and resumes when the last one is removed."""

    __slots__ = ("_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds = NONE

    def has(self, holds: Hold) -> bool:
        """Tell whether any of these reasons is set."""
        return self._holds is not NONE and bool(self._holds & holds)

    def add(self, hold: Hold) -> None:
        """Pause reading for this reason. Idempotent."""
        if not self._holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= hold

    def remove(self, hold: Hold) -> None:
        """Remove a reason. Idempotent."""
        if self._holds is NONE or not self._holds & hold:
            return
        self._holds &= ~hold
        if not self._holds and not self._transport.is_closing():
            self._transport.resume_reading()
