"""The grammar of faults: a seed repeats its draw, pairs are of different things, roots are checks."""

from __future__ import annotations

import pytest
from support.fault_search.grammar import draw, grammar
from support.fault_search.trial import Outcome, rates

from swimctl.doctor.catalogue import all_checks


def test_every_root_is_a_check() -> None:
    known = {check.id for check in all_checks()}
    assert {root for each in grammar() for root in each.roots} <= known


def test_names_are_unique() -> None:
    names = [each.name for each in grammar()]
    assert len(names) == len(set(names))


def test_seed_repeats_its_draw() -> None:
    assert [draw(seed).name for seed in range(50)] == [draw(seed).name for seed in range(50)]


def test_seeds_draw_every_fault_alone_and_pairs_of_different_things() -> None:
    draws = [draw(seed) for seed in range(1, 1_001)]
    alone = {each.elements[0].name for each in draws if len(each.elements) == 1}
    assert alone == {each.name for each in grammar()}
    pairs = [each.elements for each in draws if len(each.elements) == 2]
    assert pairs
    assert all(one.slot != other.slot for one, other in pairs)


@pytest.mark.parametrize("count", [0, 2])
def test_rates_are_summed_up_from_what_came_out(count: int) -> None:
    outcome = Outcome(
        draw=draw(1), is_found=True, is_first=False, told={}, others=(), advice=None, is_pastable=False, mends=False,
        harm="lost",
    )  # fmt: skip
    found = rates([outcome] * count)
    assert (found["drawn"], found["advice that harms"]) == (str(count), str(count))
