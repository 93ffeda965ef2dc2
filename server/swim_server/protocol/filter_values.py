"""Reads the values of a client's ``filters`` object, kind by kind, each refusal naming the kind and the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from swim_server.protocol.codes import BadMessage, ErrorCode, show
from swim_server.protocol.predicates import Box
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_VALUES = 1000
"""Maximum number of codes in one kind."""

KINDS = (
    "airports",
    "artccs",
    "firs",
    "constrained_firs",
    "callsign_prefix",
    "phase",
    "dep_window_start",
    "dep_window_end",
    "bbox",
)

_CODE = re.compile(r"[A-Z0-9._/-]{1,16}", re.ASCII)
_CODE_RULE = "must be codes of 1 to 16 letters, digits, dashes, underscores, slashes or dots"
_PHASE = re.compile(r"[A-Z0-9._/ -]{1,32}", re.ASCII)
_PHASE_RULE = "must be phases of 1 to 32 letters, digits, blanks, dashes, underscores, slashes or dots"
_LIST_RULE = 'must be a list of strings, like ["KJFK"]'
_TIME_RULE = "must be an RFC 3339 time like 2026-01-16T14:30:15Z"
_EDGES = (("north", 90), ("south", 90), ("east", 180), ("west", 180))
_SHOWN_CHARACTERS = 80


class InvalidFilter(BadMessage):
    """A filter that can't be read: its kind, the value, and the rule that it breaks."""

    def __init__(self, kind: str, value: object, rule: str) -> None:
        self.kind = kind
        self.value = value
        self.rule = rule
        shown = show(value)
        detail = value if isinstance(value, str) and len(value) <= _SHOWN_CHARACTERS else shown
        subject = "filters" if kind == "filters" else f"filter {kind[:_SHOWN_CHARACTERS]}"
        super().__init__(ErrorCode.INVALID_FILTER, f"{subject}: {rule}, got {shown}", {"kind": kind, "value": detail})


def check_kinds(raw: Mapping[str, object]) -> None:
    """Raise InvalidFilter for an unknown kind, naming the most similar one."""
    for kind in raw:
        if kind not in KINDS:
            near = get_close_matches(kind[:_SHOWN_CHARACTERS].lower(), KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KINDS)}"
            raise InvalidFilter(kind[:_SHOWN_CHARACTERS], raw[kind], f"is not a filter ({hint})")


def read_codes(kind: str, value: object) -> frozenset[str]:
    """Read a list of codes, stripped and in upper case. Null and an empty list are an empty set."""
    if value is None:
        return frozenset()
    if not isinstance(value, list):
        raise InvalidFilter(kind, value, _LIST_RULE)
    if len(value) > MAX_VALUES:
        raise InvalidFilter(kind, len(value), f"must list at most {MAX_VALUES} values")
    pattern, rule = (_PHASE, _PHASE_RULE) if kind == "phase" else (_CODE, _CODE_RULE)
    codes = set()
    for item in value:
        if not isinstance(item, str):
            raise InvalidFilter(kind, item, _LIST_RULE)
        code = item.strip().upper()
        if not pattern.fullmatch(code):
            raise InvalidFilter(kind, item, rule)
        codes.add(code)
    return frozenset(codes)


def read_time(kind: str, value: object) -> int | None:
    """Read an RFC 3339 time into milliseconds since the epoch. Null and an empty list are None."""
    if value is None or value == []:
        return None
    try:
        return parse_ms(value)
    except InvalidTimestamp:
        raise InvalidFilter(kind, value, _TIME_RULE) from None


def read_box(kind: str, value: object) -> Box | None:
    """Read a region. Null and an empty list or object are None."""
    if value is None or value in ([], {}):
        return None
    if not isinstance(value, dict):
        raise InvalidFilter(kind, value, "must be an object with north, south, east and west")
    edges = {edge: _read_edge(kind, value, edge, limit) for edge, limit in _EDGES}
    box = Box(**edges)
    if box.south > box.north:
        raise InvalidFilter(kind, value, "must have its north edge north of its south edge")
    return box


def _read_edge(kind: str, box: Mapping[str, object], edge: str, limit: int) -> float:
    number = box.get(edge)
    if type(number) is not int and type(number) is not float:
        raise InvalidFilter(kind, number, f"{edge} must be a number of degrees")
    if not -limit <= number <= limit:
        raise InvalidFilter(kind, number, f"{edge} must be from -{limit} to {limit} degrees")
    return float(number) + 0.0  # -0.0 becomes 0.0, so that equal boxes are written alike
