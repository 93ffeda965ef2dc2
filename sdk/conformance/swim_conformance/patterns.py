"""Patterns of scenarios: what a client's report or message must look like. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(pattern: Any, value: object, ids: Mapping[int, str]) -> bool:
    """Return True if a value matches a pattern.

    An object matches if each of the pattern's fields does (it may have others); ``"$id:3"`` is the id of event 3; an
    object with a single operator is a condition: ``any``, ``has``, ``lacks``, ``min``, ``max``, ``one_of``, ``set``.
    """
    if isinstance(pattern, str) and pattern.startswith("$id:"):
        return bool(value == ids.get(int(pattern[4:])))
    if isinstance(pattern, Mapping):
        if len(pattern) == 1:
            operator, wanted = next(iter(pattern.items()))
            condition = _CONDITIONS.get(operator)
            if condition is not None:
                return condition(wanted, value, ids)
        return isinstance(value, Mapping) and all(
            matches(wanted, value.get(name), ids) for name, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(value) == len(pattern)
            and all(matches(wanted, one, ids) for wanted, one in zip(pattern, value, strict=True))
        )
    return bool(pattern == value)


def _any(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return (value is not None) == bool(wanted)


def _has(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return isinstance(value, (str, list)) and wanted in value


def _lacks(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return not _has(wanted, value, ids)


def _min(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return isinstance(value, (int, float)) and value >= wanted


def _max(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return isinstance(value, (int, float)) and value <= wanted


def _one_of(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return any(matches(one, value, ids) for one in wanted)


def _set(wanted: Any, value: object, ids: Mapping[int, str]) -> bool:
    return isinstance(value, list) and sorted(map(str, value)) == sorted(map(str, wanted))


_CONDITIONS = {"any": _any, "has": _has, "lacks": _lacks, "min": _min, "max": _max, "one_of": _one_of, "set": _set}
