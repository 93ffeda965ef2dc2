"""Compares two configurations as plain values, by dotted names. Pure."""

from __future__ import annotations

from typing import Any


def differences(before: Any, after: Any, name: str = "") -> set[str]:
    """Return the dotted names of the values that differ; a list that differs counts as one value."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: set[str] = set()
        for key in before.keys() | after.keys():
            found |= differences(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))
        return found
    return set() if before == after else {name}


def value_at(values: Any, name: str) -> Any:
    """Return the value with a dotted name as returned by ``differences``; None if there is none."""
    if not name:
        return values
    if not isinstance(values, dict):
        return None
    for key, value in values.items():
        if name == key:
            return value
        if name.startswith(f"{key}.") and (found := value_at(value, name[len(key) + 1 :])) is not None:
            return found
    return None
