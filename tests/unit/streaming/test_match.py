"""One event and the groups it is matched with."""

from __future__ import annotations

from support.naive_matcher import index_of
from support.streaming_rig import flight, positions
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import stamp
from swim_server.protocol.filters import EMPTY, Filters
from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.match import Match
from swim_server.streaming.subscription import Subscription

DELTA = Filters(callsign_prefixes=frozenset({"DAL"}))
BRITISH = Filters(callsign_prefixes=frozenset({"BAW"}))


def groups(*filters: Filters) -> list[Group[Connection]]:
    return [Group(Subscription(frozenset({"flight.*"}), each)) for each in filters]


def test_each_candidate_is_taken_once() -> None:
    crowd = groups(EMPTY, DELTA, BRITISH)
    match = Match(stamp(flight("DAL1"), EventId(1, 0)), index_of(crowd))
    assert match.take(crowd[0])
    assert not match.take(crowd[0])
    assert set(match) == {crowd[1], crowd[2]}
    assert not match.take(crowd[1])
    assert not list(match)


def test_group_that_came_later_is_no_candidate() -> None:
    index = index_of(groups(EMPTY))
    match = Match(stamp(flight("DAL1"), EventId(1, 0)), index)
    (late,) = groups(DELTA)
    index.add(late)
    assert not match.take(late)


def test_iterating_may_pause_and_go_on() -> None:
    crowd = groups(EMPTY, DELTA, BRITISH)
    match = Match(stamp(flight("DAL1"), EventId(1, 0)), index_of(crowd))
    first = next(iter(match))
    assert set(match) == set(crowd) - {first}


def test_equal_remainders_are_one_object() -> None:
    event = stamp(positions("DAL1", "BAW1"), EventId(1, 0))
    match = Match(event, index_of(groups(DELTA)))
    delta = match.sift(DELTA)
    assert delta is match.sift(Filters(callsign_prefixes=frozenset({"DAL", "AAL"})))
    assert delta is not None
    assert delta.event.data["count"] == 1
    both = match.sift(Filters(callsign_prefixes=frozenset({"DAL", "BAW"})))
    assert both is match.sift(EMPTY)
    assert both is not None
    assert both.event is event
    assert match.sift(Filters(callsign_prefixes=frozenset({"AAL"}))) is None
