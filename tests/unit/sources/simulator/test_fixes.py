"""What the simulator invents can be shown anywhere: names come from a reviewed list, letter combinations are
checked.
"""

from __future__ import annotations

import re
from random import Random

from swim_server.sources.simulator.fixes import FIXES, UNWANTED_PAIRS, invent_route
from swim_server.sources.simulator.routes import invent_callsign
from swim_server.sources.simulator.world import AIRLINES

AIRWAYS = {"DCT", "UL612", "J121", "Q140", "UN866"}


def test_fixes_are_names_of_five_letters_and_stand_once() -> None:
    assert all(re.fullmatch(r"[A-Z]{5}", fix) for fix in FIXES)
    assert len(set(FIXES)) == len(FIXES) > 100


def test_every_word_of_a_route_is_from_a_list() -> None:
    for seed in range(2_000):
        first, *middle, last = invent_route(Random(seed)).split()
        assert {word for word in middle if word not in AIRWAYS} <= set(FIXES), seed
        for procedure, fix in ((first, middle[0]), (last, middle[-1])):
            assert re.fullmatch(rf"{fix}[1-9][ABCDX]", procedure), seed


def test_letters_of_callsigns_spell_nothing_unwanted() -> None:
    for seed in range(500):
        random = Random(seed)
        for airline in AIRLINES:
            callsign = invent_callsign(airline, seed, random)
            assert callsign[-2:] not in UNWANTED_PAIRS, (seed, callsign)
