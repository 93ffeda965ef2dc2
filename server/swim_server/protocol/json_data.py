"""What may stand in an event's data: plain JSON that every client can read. Guards the encoder and the clients."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

MAX_DEPTH = 32
"""How deep objects and lists may nest."""
_SHOWN_CHARACTERS = 40


class InvalidData(ValueError):
    """Data that can't be an event's: where, and the rule that it breaks."""

    def __init__(self, path: str, rule: str) -> None:
        self.path = path
        self.rule = rule
        super().__init__(path, rule)

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}"


def check_data(data: Mapping[str, Any]) -> None:
    """Check that data is JSON of moderate depth, with integers of 64 bits and finite numbers. Raises InvalidData."""
    if not isinstance(data, dict):
        raise InvalidData("data", f"must be an object, not {type(data).__name__}")
    _check(data, "data", 0)


def _check(value: object, path: str, depth: int) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidData(path, "must be an integer of 64 bits")
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidData(path, "must be a finite number")
    elif not isinstance(value, dict | list):
        raise InvalidData(path, f"must be JSON, not {type(value).__name__}")
    elif depth >= MAX_DEPTH:
        raise InvalidData("data", f"nests too deeply: at most {MAX_DEPTH} levels")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    else:
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidData(path, f"keys must be strings, not {type(key).__name__}")
            _check_text(key, path)
            _check(item, f"{path}.{key[:_SHOWN_CHARACTERS]}", depth + 1)


def _check_text(text: str, path: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidData(path, "must be Unicode text without lone surrogates") from None
