"""The index finds every group that an event matches, compared with a matcher that tries all of them."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from support import any_filters
from support.naive_matcher import (
    CATALOGUE,
    compare_in_a_random_crowd,
    compare_with_naive_matcher,
    event_of,
    found_by_index,
    found_naively,
    index_of,
)
from swim_server.protocol.filters import Filters
from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.index.index import MAX_JOINT_SECTIONS
from swim_server.streaming.index.partition import FEW_GROUPS
from swim_server.streaming.match import Match
from swim_server.streaming.subscription import Subscription


def one(channel: str = "flight.*", **kinds: Any) -> Group[Connection]:
    return Group(Subscription(frozenset({channel}), Filters(**kinds)))


@given(
    st.lists(any_filters.subscriptions, min_size=1, max_size=12),
    st.lists(any_filters.events(), min_size=1, max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_index_finds_what_a_naive_matcher_finds(
    subscriptions: list[Subscription], events: list[tuple[str, dict[str, Any]]]
) -> None:
    groups: list[Group[Connection]] = [Group(subscription) for subscription in subscriptions]
    compare_with_naive_matcher(groups, index_of(groups, few_groups=0), events)


@pytest.mark.parametrize("seed", range(60))
def test_index_finds_what_a_naive_matcher_finds_in_crowds_that_come_and_go(seed: int) -> None:
    compare_in_a_random_crowd(seed)


def test_event_meets_only_groups_that_ask_for_its_airport() -> None:
    groups = [one(airports=frozenset({f"K{number:03}"})) for number in range(1000)]
    index = index_of(groups)
    match = Match(event_of("flight.departed", {"dep": "K007", "arr": "K123"}), index)
    assert set(match) == {groups[7], groups[123]}


def test_event_of_another_type_meets_no_group() -> None:
    index = index_of([one("flight.departed", airports=frozenset({"KJFK"})) for _ in range(20)])
    assert not set(Match(event_of("flight.arrived", {"dep": "KJFK"}), index))


def test_groups_with_one_airport_in_common_stand_under_what_tells_them_apart() -> None:
    groups = [
        one(airports=frozenset({"KJFK"}), callsign_prefixes=frozenset({f"DAL{number}X"})) for number in range(100)
    ]
    match = Match(event_of("flight.departed", {"dep": "KJFK", "callsign": "DAL42X"}), index_of(groups))
    assert len(set(match)) < FEW_GROUPS


@pytest.mark.parametrize("count", [1, MAX_JOINT_SECTIONS * 3])
def test_many_different_sets_of_types_share_sections_in_the_end(count: int) -> None:
    rng = random.Random(4)
    types = sorted(CATALOGUE.types)
    groups: list[Group[Connection]] = [
        Group(Subscription(frozenset(rng.sample(types, 5)), Filters(airports=frozenset({"KJFK"}))))
        for _ in range(count)
    ]
    index = index_of(groups)
    for event_type in types:
        event = event_of(event_type, {"dep": "KJFK"})
        assert found_by_index(index, event).keys() == found_naively(groups, event).keys()
    for group in groups:
        index.remove(group)
    assert not index._partitions and not index._by_type and not index._placed, "nothing is left behind"


def test_removed_groups_leave_nothing_behind() -> None:
    rng = random.Random(3)
    groups = [
        one(
            "*",
            airports=frozenset(rng.sample(any_filters.AIRPORTS, 2)),
            callsign_prefixes=frozenset(rng.sample(any_filters.PREFIXES, rng.randrange(3))),
        )
        for _ in range(200)
    ]
    index = index_of(groups)
    rng.shuffle(groups)
    for group in groups:
        index.remove(group)
    assert not index._partitions and not index._by_type and not index._placed
