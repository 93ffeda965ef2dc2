"""A row writes to sockets directly; what one of them does not take is told exactly."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support.streaming_rig import StreamingRig
from support.virtual_clock import VirtualClock
from swim_server.concurrency.direct_write import thread_waits
from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.rows import CROWDED_SECONDS, MANY_WAITS, ROW_MEMBERS, Row, RowWriter, Unwritten
from swim_server.streaming.subscription import Subscription

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Callable[[], Pair]]:
    """Make pairs of connected sockets, the first one not blocking, with little room."""
    with ExitStack() as stack:

        def make() -> Pair:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            ours.setblocking(False)
            return ours, theirs

        yield make


class WaitingRow(Row[Connection]):
    """Waits for other threads as often as the test says."""

    waits = 0
    waits_each = 0

    def write(self, data: bytes) -> Unwritten[Connection]:
        self.waits += self.waits_each
        return super().write(data)


def row_of(rig: StreamingRig, pairs: list[Pair]) -> Row[Connection]:
    row: Row[Connection] = Row(7)
    for ours, _ in pairs:
        row.add(rig.connection(rig.connect()), ours.fileno())
    return row


def read_all(theirs: socket.socket) -> bytes:
    theirs.setblocking(False)
    parts = []
    try:
        while part := theirs.recv(1 << 16):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts)


def test_every_member_gets_the_same_bytes(rig: StreamingRig, pair: Callable[[], Pair]) -> None:
    pairs = [pair() for _ in range(5)]
    row = row_of(rig, pairs)
    assert not row.write(b"first")
    assert not row.write(b" second")
    assert [read_all(theirs) for _, theirs in pairs] == [b"first second"] * 5


@pytest.mark.parametrize("place", [0, 2, 4])
def test_what_a_full_socket_does_not_take_is_returned_exactly(
    rig: StreamingRig, pair: Callable[[], Pair], place: int
) -> None:
    pairs = [pair() for _ in range(5)]
    row = row_of(rig, pairs)
    while True:  # until not even one byte more goes in
        try:
            pairs[place][0].send(b"x")
        except BlockingIOError:
            break
    assert list(row.write(b"event")) == [(row.members[place], b"event")]
    others = [read_all(theirs) for number, (_, theirs) in enumerate(pairs) if number != place]
    assert others == [b"event"] * 4


def test_the_rest_of_a_write_that_was_cut_short_is_returned(rig: StreamingRig) -> None:
    """A stream over TCP takes a part of what is too much for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            ours.setblocking(False)
            row: Row[Connection] = Row(0)
            row.add(rig.connection(rig.connect()), ours.fileno())
            data = bytes(range(256)) * 200_000
            ((member, left),) = row.write(data)
            assert member is row.members[0]
            assert 0 < len(left) < len(data)
            assert data.endswith(left)
            taken = len(data) - len(left)
            theirs.settimeout(30)
            received = bytearray()
            while len(received) < taken:
                received += theirs.recv(1 << 20)
            assert received == data[:taken]


def test_a_socket_whose_other_end_is_gone_is_returned_and_the_others_are_written_to(
    rig: StreamingRig, pair: Callable[[], Pair]
) -> None:
    pairs = [pair() for _ in range(3)]
    row = row_of(rig, pairs)
    pairs[0][1].close()
    pairs[2][1].close()
    assert list(row.write(b"event")) == [(row.members[0], b"event"), (row.members[2], b"event")]
    assert read_all(pairs[1][1]) == b"event"


def test_a_member_that_leaves_has_the_position_of_its_row(rig: StreamingRig, pair: Callable[[], Pair]) -> None:
    row = row_of(rig, [pair(), pair()])
    member, other = row.members
    row.position = 9
    row.remove(member)
    assert (member.position, member.row, row.members, len(row.descriptors)) == (9, None, [other], 1)


def settled(rig: StreamingRig, count: int) -> Group[Connection]:
    group: Group[Connection] = Group(Subscription(frozenset({"flight.*"})))
    for number in range(count):
        member = rig.connection(rig.connect())
        member.join(group)
        group.settle(member, 1000 + number, group.end)
    return group


def test_rows_with_holes_are_formed_anew(rig: StreamingRig) -> None:
    group = settled(rig, 10 * ROW_MEMBERS)
    numbers = {member: number for number, member in enumerate(group.members)}
    leaving = [member for row in group.rows for member in row.members[2:]]
    for member in leaving:
        group.leave(member)
    group.close_ranks()
    assert [len(row.members) for row in group.rows] == [20]
    (row,) = group.rows
    assert row.descriptors == [1000 + numbers[member] for member in row.members]
    assert all(member.row is row for member in group.members)
    assert not group.singles_snapshot


def test_a_row_that_is_dissolved_leaves_its_members_where_they_stood(rig: StreamingRig) -> None:
    group = settled(rig, 3)
    group.rows[0].position = 5
    group.dissolve_rows()
    assert [(member.row, member.position) for member in group.singles_snapshot] == [(None, 5)] * 3
    assert not group.rows


def test_a_row_that_was_kept_waiting_by_another_thread_is_noticed_for_a_while(
    rig: StreamingRig, pair: Callable[[], Pair]
) -> None:
    clock = VirtualClock(seconds=100)
    row = WaitingRow(7)
    for ours, _ in (pair(), pair()):
        row.add(rig.connection(rig.connect()), ours.fileno())
    writer = RowWriter(clock.monotonic, lambda: row.waits)
    row.waits_each = MANY_WAITS - 1
    writer.write(row, b"in time")
    assert not writer.is_crowded
    row.waits_each = MANY_WAITS
    writer.write(row, b"late")
    assert writer.is_crowded
    clock.seconds += CROWDED_SECONDS
    assert not writer.is_crowded


def test_waits_of_this_thread_are_counted() -> None:
    before = thread_waits()
    for _ in range(3):
        time.sleep(0.001)
    assert thread_waits() - before >= 3
