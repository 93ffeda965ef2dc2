"""Ranges of history that no longer hold what was stored: recorded before anyone is told that nothing is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swim_server.brokers.counters import Counters
from swim_server.brokers.history_reader import Rotten
from swim_server.brokers.origin import Hole
from swim_server.logs import get_logger
from swim_server.protocol.event_id import EventId

_log = get_logger("broker")


class UnreadableRanges:
    """Records what reading and checking found. Belongs to the loop.

    ``write`` records ranges in the file and returns those that are new there; it may raise BrokerUnavailable.
    """

    def __init__(self, write: Callable[[Rotten], Awaitable[list[Hole]]], counters: Counters) -> None:
        self._write = write
        self._counters = counters
        self._unrecorded: Rotten = []
        """Ranges known to be bad that could not be recorded yet."""

    def has_unrecorded_after(self, after: EventId) -> bool:
        """Tell whether a range that could not be recorded yet ends after this id."""
        return any(up_to > after.to_integer() for _, up_to in self._unrecorded)

    async def record(self, rotten: Rotten) -> list[Hole]:
        """Record ranges and log those that are new; return the new ones. Raises BrokerUnavailable.

        What can't be recorded counts as a gap all the same, until it can.
        """
        self._unrecorded += [each for each in rotten if each not in self._unrecorded]
        new = await self._write(rotten)
        self._unrecorded = [each for each in self._unrecorded if each not in rotten]
        self._counters.rotten += len(new)
        if new:
            _log.error(
                "events in history are damaged: clients that resume across them are told of a gap",
                after=str(new[0].after), up_to=str(new[-1].up_to), places=len(new),
            )  # fmt: skip
        return new
