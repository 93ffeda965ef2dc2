"""What an event's data may contain: plain JSON that every client can read."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

MAX_DEPTH = 32
"""Maximum nesting depth of objects and lists."""
JsonObject = dict[str, Any]
"""A decoded JSON object: its values are dicts, lists, strings, numbers, booleans and None."""
_INTEGER_LIMIT = 2**63
_SHOWN_CHARACTERS = 40


class InvalidData(ValueError):
    """Data that an event can't have: where, and the rule that it breaks."""

    def __init__(self, path: str, rule: str) -> None:
        self.path = path
        self.rule = rule
        super().__init__(path, rule)

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}"


def check_data(data: Mapping[str, object]) -> None:
    """Check that data is JSON of limited depth, with 64-bit integers and finite numbers. Raises InvalidData."""
    if not isinstance(data, dict):
        raise InvalidData("data", f"must be an object, not {type(data).__name__}")
    fault = _fault(data, 0)
    if fault is not None:
        path, rule = fault
        raise InvalidData("data" if rule == _TOO_DEEP else f"data{path}", rule)


_TOO_DEEP = f"nests too deeply: at most {MAX_DEPTH} levels"


def _fault(value: object, depth: int) -> tuple[str, str] | None:
    """Return the path of the first fault in ``value`` and the rule that it breaks; None if there is none."""
    if isinstance(value, str):
        return None if value.isascii() else _text_fault(value)
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            return "", _TOO_DEEP
        if not value:
            return None
        return _object_fault(value, depth) if isinstance(value, dict) else _list_fault(value, depth)
    if isinstance(value, float):
        return None if isfinite(value) else ("", "must be a finite number")
    if isinstance(value, int):
        return None if -_INTEGER_LIMIT <= value < _INTEGER_LIMIT else ("", "must be an integer of 64 bits")
    return None if value is None else ("", f"must be JSON, not {type(value).__name__}")


def _list_fault(value: list[Any], depth: int) -> tuple[str, str] | None:
    for index, item in enumerate(value):
        if fault := _fault(item, depth + 1):
            return f"[{index}]{fault[0]}", fault[1]
    return None


def _object_fault(value: dict[Any, Any], depth: int) -> tuple[str, str] | None:
    for key, item in value.items():
        if not isinstance(key, str):
            return "", f"keys must be strings, not {type(key).__name__}"
        if fault := _text_fault(key):
            return fault
        if fault := _fault(item, depth + 1):
            return f".{key[:_SHOWN_CHARACTERS]}{fault[0]}", fault[1]
    return None


def _text_fault(text: str) -> tuple[str, str] | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "", "must be Unicode text without lone surrogates"
    return None
