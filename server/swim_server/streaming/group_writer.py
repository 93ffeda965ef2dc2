"""Writes a group's frames to its members: to rows of them past their transports, to the others one by one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from swim_server.streaming.group import ROWS_FROM_MEMBERS
from swim_server.streaming.rows import RowWriter

if TYPE_CHECKING:
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.group import Group
    from swim_server.streaming.rows import Row

WRITE_BYTES = 128 * 1024
"""Largest write to a connection, so that a slow one is noticed before much more is queued."""


class GroupWriter:
    """Writes one group at a time, a little between two looks of its caller at the clock."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        writes_per_look: int,
        on_failure: Callable[[BaseException], None],
        remove: Callable[[Connection], None],
    ) -> None:
        """Write nothing yet. ``remove`` is called with a connection that can't be written to."""
        self._rows = RowWriter(monotonic)
        self._writes_per_look = writes_per_look
        self._on_failure = on_failure
        self._remove = remove

    def write(self, group: Group[Connection]) -> Generator[None, None, int]:
        """Write the group's oldest frames to each member, yielding now and then. Frames that arrive meanwhile wait.

        Returns the size in bytes of what the group holds no longer.
        """
        start = group.base
        count = _count_within(group.frames, WRITE_BYTES)
        end = start + count
        frames, events = group.frames[:count], group.events[:count]
        joined = b"".join(frames) if count > 1 else frames[0]
        yield from self._write_rows(group, joined, end)
        may_settle = len(group.members) >= ROWS_FROM_MEMBERS and not self._rows.is_crowded
        for number, connection in enumerate(group.singles_snapshot, 1):
            if connection.group is group:
                try:
                    position = connection.position
                    if position == start and connection.backlog is None:
                        connection.position = end
                        connection.transport.write(joined)
                        if may_settle:
                            _settle(group, connection, end)
                    elif position < end:
                        connection.position = end
                        connection.deliver(frames[position - start :], events[position - start :])
                        yield
                except Exception as error:  # noqa: BLE001  # one broken way out must not silence the others
                    self._on_failure(error)
                    self._remove(connection)
            if not number % self._writes_per_look:
                yield
        group.close_ranks()
        return group.release(end)

    def _write_rows(self, group: Group[Connection], joined: bytes, end: int) -> Generator[None, None, None]:
        for row in tuple(group.rows):
            if self._rows.is_crowded:
                group.dissolve_rows()  # those that were not written to are then single, as the others are
                return
            self._write_row(group, row, joined, end)
            yield

    def _write_row(self, group: Group[Connection], row: Row[Connection], joined: bytes, end: int) -> None:
        unwritten = self._rows.write(row, joined)
        row.position = end
        for connection, left in unwritten:
            group.step_out(connection)
            try:
                connection.transport.write(left)
            except Exception as error:  # noqa: BLE001  # as for single members
                self._on_failure(error)
                self._remove(connection)


def _settle(group: Group[Connection], connection: Connection, position: int) -> None:
    """Put a member that was written to into a row, if it still keeps up."""
    if connection.group is group and connection.backlog is None:
        descriptor = connection.transport.descriptor()
        if descriptor is not None:
            group.settle(connection, descriptor, position)


def _count_within(frames: Sequence[bytes], limit_bytes: int) -> int:
    """Return how many of the first frames have at most ``limit_bytes`` together; at least one."""
    if len(frames) == 1:
        return 1
    total = 0
    for count, frame in enumerate(frames):
        total += len(frame)
        if total > limit_bytes:
            return max(count, 1)
    return len(frames)
