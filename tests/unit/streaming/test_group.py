"""A group holds each frame once, until every member has it."""

from __future__ import annotations

from support.streaming_rig import StreamingRig, flight
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import stamp
from swim_server.streaming.connection import Connection
from swim_server.streaming.framed_event import FramedEvent
from swim_server.streaming.group import Group
from swim_server.streaming.subscription import Subscription


def group() -> Group[Connection]:
    return Group(Subscription(frozenset({"flight.*"})))


def framed(number: int) -> FramedEvent:
    return FramedEvent(stamp(flight(), EventId(number, 0)))


def test_roll_stays_as_it_was_taken(rig: StreamingRig) -> None:
    one = group()
    first, second = (rig.connection(rig.connect()) for _ in range(2))
    first.join(one)
    roll = one.singles_snapshot
    second.join(one)
    first.leave()
    assert roll == (first,)
    assert one.singles_snapshot == (second,)


def test_member_stands_at_the_next_frame(rig: StreamingRig) -> None:
    one = group()
    one.append(framed(1))
    member = rig.connection(rig.connect())
    member.join(one)
    assert (one.base, one.end, member.position) == (0, 1, 1)


def test_released_frames_are_forgotten_and_their_bytes_told(rig: StreamingRig) -> None:
    one = group()
    sizes = [one.append(framed(number)) for number in (1, 2, 3)]
    assert one.release(2) == sizes[0] + sizes[1]
    assert (one.base, one.end, len(one.events)) == (2, 3, 1)


def test_bringing_up_gives_what_is_missing_in_one_write(rig: StreamingRig) -> None:
    one = group()
    client = rig.connect()
    rig.connection(client).join(one)
    for number in (1, 2, 3):
        one.append(framed(number))
    one.flush_to(rig.connection(client))
    one.flush_to(rig.connection(client))
    assert client.ids == ["1-0", "2-0", "3-0"]
    assert len(client.writes) == 1


def test_leaving_gives_what_is_missing_first(rig: StreamingRig) -> None:
    one = group()
    client = rig.connect()
    rig.connection(client).join(one)
    one.append(framed(1))
    rig.connection(client).leave()
    one.append(framed(2))
    assert client.ids == ["1-0"]
    assert rig.connection(client).group is None


def test_group_settles_before_its_members_change(rig: StreamingRig) -> None:
    settled: list[Group[Connection]] = []
    one = Group(Subscription(frozenset({"flight.*"})), match_pending=settled.append)
    member = rig.connection(rig.connect())
    member.join(one)
    member.leave()
    assert settled == [one, one]
