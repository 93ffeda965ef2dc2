"""Members of a group that keep up, in rows: a row's bytes go straight to its sockets, past connections and transports.

Written one by one, most of what a delivery costs beside the system call is the memory of connection, endpoint and
transport, which is not in the processor's cache. A row needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from swim_server.concurrency.direct_write import thread_waits, write_each

ROW_MEMBERS = 32
MANY_WAITS = 4
"""A row in which the thread waits as often, though no write ever waits, is kept from its turn by other threads."""
CROWDED_SECONDS = 1.0


class RowMember(Protocol):
    """What a row needs of its members."""

    row: Row[Any] | None
    """The row that it is in."""
    position: int
    """Number of the first of the group's frames that it was not given; in a row, the row's position counts."""


M = TypeVar("M", bound=RowMember)
Unwritten = Sequence[tuple[M, bytes]]
"""Members that did not take everything, with the bytes that are left for each."""


class Row(Generic[M]):
    """A few members that were given the same frames, and whose transports hold nothing.

    While a member is in a row, nobody else may write to it: ``Group.step_out`` comes first.
    """

    __slots__ = ("descriptors", "members", "position")

    def __init__(self, position: int) -> None:
        self.descriptors: list[int] = []
        self.members: list[M] = []
        self.position = position
        """Number of the first of the group's frames that its members were not given."""

    def add(self, member: M, descriptor: int) -> None:
        """Add a member with its socket."""
        self.members.append(member)
        self.descriptors.append(descriptor)
        member.row = self

    def remove(self, member: M) -> None:
        """Remove a member; from now on it has its own position."""
        index = self.members.index(member)
        del self.members[index], self.descriptors[index]
        member.row = None
        member.position = self.position

    def write(self, data: bytes) -> Unwritten[M]:
        """Write to every socket; return the members that did not take all of it, with what is left for each."""
        members = self.members
        return [(members[place], data[sent:]) for place, sent in write_each(self.descriptors, data)]


class RowWriter:
    """Writes rows, unless another thread computes.

    A direct write lets other threads run. Beside one that computes, getting the turn back costs more than is saved.
    """

    def __init__(self, monotonic: Callable[[], float], waits: Callable[[], int] = thread_waits) -> None:
        """Take a clock, and what counts how often this thread has waited for something."""
        self._monotonic = monotonic
        self._waits = waits
        self._crowded_until = 0.0

    @property
    def is_crowded(self) -> bool:
        """Whether other threads kept a row waiting a moment ago."""
        return self._monotonic() < self._crowded_until

    def write(self, row: Row[M], data: bytes) -> Unwritten[M]:
        """Write to every member of a row; return those that did not take all of it."""
        waits = self._waits()
        unwritten = row.write(data)
        if self._waits() - waits >= MANY_WAITS:
            self._crowded_until = self._monotonic() + CROWDED_SECONDS
        return unwritten
