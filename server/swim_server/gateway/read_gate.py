"""Whether a client is read at the moment: several may want it to wait, each for a reason of its own."""

from __future__ import annotations

import asyncio
from enum import Flag, auto


class Hold(Flag):
    """Why a client isn't read."""

    UNREAD = auto()
    """What came before is still to be worked off, in turns of the loop to come."""
    UNADMITTED = auto()
    """It sends a lot before it is admitted."""
    UNWRITTEN = auto()
    """It doesn't take what it is sent: each of its questions would add an answer."""
    UNANSWERED = auto()
    """Many of its questions wait for history to be looked into."""
    RATE = auto()
    """It has sent as many bytes as one second allows."""
    ABUSE = auto()
    """It is being closed for what it sends: nothing more of it is looked at."""


NONE = Hold(0)


class ReadGate:
    """Pauses reading from a transport while there is any reason, and resumes when the last one is gone."""

    __slots__ = ("_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds = NONE

    def has(self, holds: Hold) -> bool:
        """Whether one of these holds."""
        return bool(self._holds & holds)

    def add(self, hold: Hold) -> None:
        """Don't read, for this reason. Idempotent."""
        if not self._holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= hold

    def remove(self, hold: Hold) -> None:
        """Take a reason away. Idempotent."""
        if not self._holds & hold:
            return
        self._holds &= ~hold
        if not self._holds and not self._transport.is_closing():
            self._transport.resume_reading()
