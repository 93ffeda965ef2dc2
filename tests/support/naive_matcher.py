"""A matcher that looks at every group, and random groups with which the index is compared."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from support.any_filters import Dice
from swim_server.protocol.channels import Catalogue, matches
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event
from swim_server.protocol.filters import EMPTY
from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.index.index import Index
from swim_server.streaming.match import Match

CATALOGUE = Catalogue()


def event_of(event_type: str, data: dict[str, Any]) -> Event:
    """Return an event of which only type and data matter."""
    return Event(EventId(1, 0), event_type, b'{"type":"x","data":{}}', data)


def index_of(groups: Sequence[Group[Connection]], **settings: int) -> Index[Group[Connection]]:
    """Return an index of these groups."""
    index: Index[Group[Connection]] = Index(CATALOGUE, **settings)
    for group in groups:
        index.add(group)
    return index


def found_by_index(index: Index[Group[Connection]], event: Event) -> dict[Group[Connection], Any]:
    """Return the groups that the event matches by the index, each with the data it receives."""
    match = Match(event, index)
    found = ((group, match.sift(group.subscription.filters)) for group in match)
    return {group: framed.event.data for group, framed in found if framed is not None}


def found_naively(groups: Sequence[Group[Connection]], event: Event) -> dict[Group[Connection], Any]:
    """Return the same, by definition."""
    found = {}
    for group in groups:
        channels, filters = group.subscription.channels, group.subscription.filters
        if not any(matches(channel, event.type) for channel in channels):
            continue
        if event.type == "flight.positions":
            rest = filters.cut(event.data) if filters != EMPTY else event.data
            if rest is not None:
                found[group] = rest
        elif filters.passes(event.type, event.data):
            found[group] = event.data
    return found


def compare_with_naive_matcher(
    groups: Sequence[Group[Connection]], index: Index[Group[Connection]], events: Sequence[tuple[str, dict[str, Any]]]
) -> int:
    """Assert that both find the same groups with the same data; return how many."""
    receivers = 0
    for event_type, data in events:
        event = event_of(event_type, data)
        found, naive = found_by_index(index, event), found_naively(groups, event)
        assert found.keys() == naive.keys(), (event_type, data)
        assert all(repr(found[group]) == repr(naive[group]) for group in found), (event_type, data)
        receivers += len(found)
    return receivers


def compare_in_a_random_crowd(seed: int, *, groups: int = 60, events: int = 20) -> int:
    """Add and remove random groups, and match random events; return how many receivers there were."""
    chance, dice = random.Random(seed), Dice(seed)
    crowd: list[Group[Connection]] = [Group(dice.subscription()) for _ in range(groups)]
    index = index_of(crowd, max_joint_sections=chance.choice([0, 3, 64]), few_groups=chance.choice([0, 0, 8]))
    left = crowd[:]
    for _ in range(chance.randrange(groups)):
        index.remove(left.pop(chance.randrange(len(left))))
    for _ in range(chance.randrange(10)):
        left.append(Group(dice.subscription()))
        index.add(left[-1])
    return compare_with_naive_matcher(left, index, [dice.event() for _ in range(events)])
