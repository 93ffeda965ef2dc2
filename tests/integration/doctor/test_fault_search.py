"""A short run of the search for faults: doctor finds them, and none of its advice does harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fault_search.grammar import draw
from support.fault_search.trial import attempt


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 13))
def test_first_advice_harms_nothing_in_a_world_made_anew(seed: int, tmp_path: Path) -> None:
    drawn = draw(seed)
    outcome = attempt(drawn, tmp_path)
    assert outcome.harm is None, f"seed {seed}, {drawn.name}: {outcome.advice}: {outcome.harm}"
    assert outcome.is_found or not drawn.is_visible, f"seed {seed}, {drawn.name}: {outcome.told}"
