"""The grammar of faults: what can be done to what, what a user would notice, and the root cause."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from random import Random

import msgspec
from support.fault_search import elements, surroundings, thought_up
from support.fault_search.elements import Element

PAIRS = 0.3


class Draw(msgspec.Struct, frozen=True):
    """The faults drawn with one seed."""

    seed: int
    elements: tuple[Element, ...]

    @property
    def name(self) -> str:
        return " + ".join(each.name for each in self.elements)

    @property
    def roots(self) -> frozenset[str]:
        return frozenset().union(*(each.roots for each in self.elements))

    def are_told(self, told: Set[str]) -> bool:
        """Return True if a root of each fault is among these checks, of those that are to be told."""
        return all(each.roots & told for each in self.elements if each.roots and not each.is_healed)

    @property
    def is_visible(self) -> bool:
        return any(each.is_visible for each in self.elements)

    @property
    def has_one_command(self) -> bool:
        """One command can mend it: it is one fault, of that kind."""
        return len(self.elements) == 1 and self.elements[0].one_command

    @property
    def is_silent(self) -> bool:
        """Nothing need be reported: it is not a fault, or the daemon repairs it."""
        return all(each.is_healed or not each.roots for each in self.elements)


def draw(seed: int) -> Draw:
    """Draw one fault, or two on different things; a negative seed is one of those thought up, by its number."""
    if seed < 0:
        return Draw(seed, (thought_up.thought_up()[-seed - 1],))
    random = Random(seed)  # a seed that repeats is what is wanted
    everything = grammar()
    first = random.choice(everything)
    others = [each for each in everything if each.slot != first.slot]
    return Draw(seed, (first, random.choice(others)) if random.random() < PAIRS else (first,))


@cache
def grammar() -> tuple[Element, ...]:
    """Return everything that can be drawn on this machine."""
    return (
        *elements.files_of_the_home(),
        *elements.configuration(),
        *elements.code(),
        *elements.keys(),
        *surroundings.process(),
        *surroundings.clocks(),
        *surroundings.neighbours(),
        *surroundings.sources(),
        *surroundings.fronts(),
    )
