"""The bounds of a requirement: plain ones by themselves, all others through ``packaging``, which is slow to import.

A plain requirement has a name, numbers as versions, and a marker of comparisons joined by ``and``. Pure.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

_PLAIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*([^;\[@ ]*)\s*(?:;\s*(.+))?")
_BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_COMPARED = re.compile(r"(\w+) (==|!=) '([^']*)'")


class Bounds(NamedTuple):
    """The versions of a package that are accepted."""

    name: str
    text: str
    """As ``packaging`` writes them: ``<18,>=17.2``."""
    limits: tuple[tuple[str, str], ...] | None
    """Each operator with its version; None: they are not plain."""

    def contains(self, version: str) -> bool:
        """Return True if a version is within the bounds; a pre-release may be."""
        if self.limits is None or _NUMBERS.fullmatch(version) is None:
            from packaging.specifiers import SpecifierSet

            return SpecifierSet(self.text).contains(version, prereleases=True)
        found = _parts(version)
        return all(_holds(operator, found, _parts(limit)) for operator, limit in self.limits)


def bounds_of(requirement: str) -> Bounds | None:
    """Return the bounds of a requirement; None: its marker excludes this Python."""
    match = _PLAIN.fullmatch(requirement)
    applies = None if match is None else _applies(match[3])
    limits = None if match is None else _limits(match[2])
    if match is None or applies is None or limits is None:
        return _by_packaging(requirement)
    text = ",".join(sorted(f"{operator}{version}" for operator, version in limits))
    return Bounds(match[1], text, limits) if applies else None


def _by_packaging(requirement: str) -> Bounds | None:
    from packaging.requirements import Requirement

    found = Requirement(requirement)
    is_needed = found.marker is None or found.marker.evaluate()
    return Bounds(found.name, str(found.specifier), None) if is_needed else None


def _limits(text: str) -> tuple[tuple[str, str], ...] | None:
    found = [_BOUND.fullmatch(each.strip()) for each in text.split(",")] if text else []
    plain = tuple((each[1], each[2]) for each in found if each is not None)
    return plain if len(plain) == len(found) else None


def _applies(marker: str | None) -> bool | None:
    """Evaluate a marker (PEP 508); None: it is not plain."""
    name = sys.implementation.name
    known = {
        "sys_platform": sys.platform,
        "platform_python_implementation": "CPython" if name == "cpython" else None,
        "implementation_name": name,
    }
    result = True
    for each in marker.split(" and ") if marker is not None else ():
        match = _COMPARED.fullmatch(each.strip())
        value = known.get(match[1]) if match is not None else None
        if match is None or value is None:
            return None
        result = result and (value == match[3]) == (match[2] == "==")
    return result


def _parts(version: str) -> tuple[int, ...]:
    """Return a version's numbers without the zeros at its end: 1.0 is 1."""
    parts = [int(each) for each in version.split(".")]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _holds(operator: str, found: tuple[int, ...], limit: tuple[int, ...]) -> bool:
    match operator:
        case ">=":
            return found >= limit
        case "<=":
            return found <= limit
        case "==":
            return found == limit
        case "!=":
            return found != limit
        case "<":
            return found < limit
        case ">":
            return found > limit
        case _:
            raise AssertionError(f"_BOUND knows no operator {operator}")
