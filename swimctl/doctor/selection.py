"""The checks of a run: those asked for, and those they depend on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import msgspec

from swimctl.doctor.catalogue import AREAS
from swimctl.doctor.check import Check, Result, Status
from swimctl.errors import WrongUsage


class Choice(NamedTuple):
    """Areas and ids as the user gave them; each word may hold several, separated by commas."""

    only: Sequence[str] = ()
    skipped: Sequence[str] = ()


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The checks of one run."""

    asked: tuple[Check, ...]
    """The checks that the user wants to see."""
    dependencies: tuple[Check, ...] = ()
    """What these also need; shown only if it did not pass."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks that are run."""
        return (*self.dependencies, *self.asked)

    def shown(self, results: Iterable[Result], catalogue: Sequence[Check]) -> list[Result]:
        """Return the results to show, in the catalogue's order."""
        results = tuple(results)
        asked = {check.id for check in self.asked}
        asked |= {each.cause for each in results if each.id in asked and each.cause is not None}
        order = {check.id: number for number, check in enumerate(catalogue)}
        quiet = (Status.OK, Status.SKIP, Status.WARN)
        wanted = [each for each in results if each.id in asked or each.status not in quiet]
        return sorted(wanted, key=lambda each: order[each.id])


def select(catalogue: Sequence[Check], choice: Choice, *, is_deep: bool, is_outside: bool) -> Selection:
    """Select by areas and ids, which may be separated by commas. Raises WrongUsage for an unknown one."""
    wanted, unwanted = words(choice.only, catalogue, "--only"), words(choice.skipped, catalogue, "--skip")
    possible = [
        msgspec.structs.replace(check, needs=check.needs_outside or check.needs) if is_outside else check
        for check in catalogue
        if (is_deep or not check.is_deep or check.id in wanted)
        and (check.is_outside or not is_outside)
        and not {check.id, check.area} & unwanted
    ]
    asked = tuple(check for check in possible if not wanted or {check.id, check.area} & wanted)
    if not asked:
        raise WrongUsage("no check is left of these", "all checks: swimctl doctor --list")
    return Selection(asked=asked, dependencies=tuple(_dependencies(asked, possible)))


def _dependencies(asked: Sequence[Check], possible: Sequence[Check]) -> list[Check]:
    by_id = {check.id: check for check in possible}
    known = {check.id for check in asked}
    needed: set[str] = set()
    waiting = [need for check in asked for need in check.needs]
    while waiting:
        name = waiting.pop()
        if name in by_id and name not in known | needed:
            needed.add(name)
            waiting += by_id[name].needs
    return [check for check in possible if check.id in needed]


def words(given: Sequence[str], catalogue: Sequence[Check], option: str) -> set[str]:
    """Split areas and ids at commas. Raises WrongUsage for an unknown one."""
    known = [*AREAS, *(check.id for check in catalogue)]
    found = {word.strip() for text in given for word in text.split(",") if word.strip()}
    for word in sorted(found):
        if word not in known:
            near = get_close_matches(word, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "all areas and checks: swimctl doctor --list"
            raise WrongUsage(f"{option}: there is no area or check {word!r}", hint)
    return found
