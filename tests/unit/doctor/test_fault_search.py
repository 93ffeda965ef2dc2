"""The grammar of faults: a seed repeats its draw, pairs are of different things, roots are checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.fault_search.grammar import draw, grammar
from support.fault_search.search import misses, rates, tried
from support.fault_search.thought_up import thought_up
from support.fault_search.trial import Outcome

from swimctl.doctor.catalogue import all_checks


def test_every_root_is_a_check() -> None:
    known = {check.id for check in all_checks()}
    assert {root for each in (*grammar(), *thought_up()) for root in each.roots} <= known


def test_names_are_unique() -> None:
    names = [each.name for each in (*grammar(), *thought_up())]
    assert len(names) == len(set(names))


def test_faults_that_were_thought_up_have_negative_seeds() -> None:
    assert [draw(-number).name for number in range(1, len(thought_up()) + 1)] == [each.name for each in thought_up()]


def test_seed_repeats_its_draw() -> None:
    assert [draw(seed).name for seed in range(50)] == [draw(seed).name for seed in range(50)]


def test_seeds_draw_every_fault_alone_and_pairs_of_different_things() -> None:
    draws = [draw(seed) for seed in range(1, 1_001)]
    alone = {each.elements[0].name for each in draws if len(each.elements) == 1}
    assert alone == {each.name for each in grammar()}
    pairs = [each.elements for each in draws if len(each.elements) == 2]
    assert pairs
    assert all(one.slot != other.slot for one, other in pairs)


def outcome(seed: int, **more: Any) -> Outcome:
    drawn = draw(seed)
    return Outcome(seed=seed, name=drawn.name, faults=1, is_visible=True, has_root=True, **more)


@pytest.mark.parametrize("count", [0, 2])
def test_rates_are_summed_up_from_what_came_out(count: int) -> None:
    found = rates([outcome(1, is_found=True, harm="lost")] * count)
    assert (found["drawn"], found["advice that harms"]) == (str(count), str(count))


def test_draw_that_was_not_tried_counts_nowhere_and_is_listed() -> None:
    outcomes = [outcome(1, is_found=True, is_first=True, mends=True), outcome(2, not_tried="AssertionError: no daemon")]
    assert (rates(outcomes)["drawn"], rates(outcomes)["of these found"]) == ("1", "1 of 1 (1.00)")
    assert [(row[0], row[5]) for row in misses(outcomes)] == [(2, "AssertionError: no daemon")]


def test_what_was_tried_is_not_tried_again_unless_it_is_another_draw_today(tmp_path: Path) -> None:
    kept = [outcome(1), outcome(2, not_tried="no daemon"), msgspec.structs.replace(outcome(3), name="of another day")]
    lines = [msgspec.json.encode(each) for each in kept]
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b"\n".join([*lines, lines[0][:20]]))
    assert list(tried(path)) == [1]
    assert tried(tmp_path / "none") == {}


@pytest.mark.parametrize("word", ["clock", "doubled", "renamed", "redirects", "option", "variable", "neighbour"])
def test_grammar_has_what_an_operator_meets(word: str) -> None:
    assert any(word in each.name for each in grammar())
