"""Groups by code: adding, removing, collecting."""

from __future__ import annotations

import random

from swim_server.streaming.connection import Connection
from swim_server.streaming.group import Group
from swim_server.streaming.index.partition import InvertedIndex
from swim_server.streaming.subscription import Subscription


def some_groups(count: int) -> list[Group[Connection]]:
    return [Group(Subscription(frozenset({"flight.*"}))) for _ in range(count)]


def collected(postings: InvertedIndex[Group[Connection]], *codes: str) -> set[Group[Connection]]:
    into: dict[Group[Connection], None] = {}
    postings.collect(codes, into)
    return set(into)


def test_groups_are_found_by_each_of_their_codes() -> None:
    one, two = some_groups(2)
    postings: InvertedIndex[Group[Connection]] = InvertedIndex()
    postings.add(one, ["KJFK", "KLAX"])
    postings.add(two, ["KJFK"])
    assert collected(postings, "KJFK") == {one, two}
    assert collected(postings, "KLAX") == {one}
    assert collected(postings, "EGLL") == set()
    assert collected(postings, "EGLL", "KLAX", "RJTT", "KJFK") == {one, two}
    assert postings.load(["KLAX", "KJFK", "EGLL"]) == 2
    assert postings.load([]) == 0


def test_removed_groups_leave_nothing() -> None:
    one, two = some_groups(2)
    postings: InvertedIndex[Group[Connection]] = InvertedIndex()
    postings.add(one, ["KJFK"])
    postings.add(two, ["KJFK"])
    postings.remove(one, ["KJFK"])
    assert collected(postings, "KJFK") == {two}
    postings.remove(two, ["KJFK"])
    assert not postings


def test_random_comings_and_goings_are_a_plain_mapping() -> None:
    chance = random.Random(7)
    postings: InvertedIndex[Group[Connection]] = InvertedIndex()
    model: dict[Group[Connection], list[str]] = {}
    for group in some_groups(300):
        codes = chance.sample("ABCDE", chance.randint(1, 3))
        postings.add(group, codes)
        model[group] = codes
        if chance.random() < 0.7:
            gone = chance.choice(list(model))
            postings.remove(gone, model.pop(gone))
        for code in "ABCDE":
            expected = {each for each, its_codes in model.items() if code in its_codes}
            assert collected(postings, code) == expected
            assert postings.load([code]) == len(expected)
        everything: dict[Group[Connection], None] = {}
        postings.collect_all(everything)
        assert everything.keys() == model.keys()
