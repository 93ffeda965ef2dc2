"""Checks plain values against the typed settings and reports everything that is wrong, not just the first thing."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import inspect

from swim_server.config.redaction import text_without_secrets
from swim_server.config.rules import RULES
from swim_server.config.settings import Config

Path = tuple[str | int, ...]
Finding = tuple[Path, str]
"""Where, and what is wrong there."""

LARGEST_INTEGER = 2**63 - 1

_KINDS: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text in quotes",
    inspect.BoolType: "true or false",
    inspect.ListType: "a list",
    inspect.DictType: "a table",
    inspect.StructType: "a table",
}
_PYTHON: dict[type, tuple[type, ...]] = {
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.StrType: (str,),
    inspect.BoolType: (bool,),
    inspect.ListType: (list,),
    inspect.DictType: (dict,),
    inspect.StructType: (dict,),
}


@functools.cache
def configuration_type() -> inspect.StructType:
    """Return the settings as msgspec describes them; cached, as that takes some milliseconds."""
    found = inspect.type_info(Config)
    assert isinstance(found, inspect.StructType)
    return found


def check(value: Any, kind: inspect.Type, path: Path = ()) -> Iterator[Finding]:
    """Yield what is wrong with a value of plain TOML types, deepest first."""
    rule, kind = unwrap(kind)
    if isinstance(kind, inspect.UnionType):
        yield from _check_union(value, kind, path)
    elif isinstance(kind, inspect.LiteralType):
        if value not in kind.values or isinstance(value, bool):
            yield path, one_of(value, [str(known) for known in kind.values])
    elif type(kind) not in _KINDS:
        raise AssertionError(f"no setting has the type {kind}")
    elif rule == "duration" and isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _check_rule(str(value), rule, path)
    elif not _is(value, kind):
        yield path, f"must be {_KINDS[type(kind)]}, got {show(value)}"
    elif isinstance(kind, inspect.StructType):
        yield from _check_struct(value, kind, path)
    elif isinstance(kind, inspect.ListType):
        for index, item in enumerate(value):
            yield from check(item, kind.item_type, (*path, index))
    elif isinstance(kind, inspect.DictType):
        for key, item in value.items():
            yield from check(item, kind.value_type, (*path, key))
    else:
        yield from _check_range(value, kind, path)
        yield from _check_rule(value, rule, path)


def unwrap(kind: inspect.Type) -> tuple[str | None, inspect.Type]:
    """Return the name of an annotation's rule, and the type that it annotates."""
    rule: str | None = None
    while isinstance(kind, inspect.Metadata):
        rule = (kind.extra or {}).get("rule", rule)
        kind = kind.type
    return rule, kind


def choices(kind: inspect.UnionType) -> dict[str, inspect.StructType]:
    """Return the structs of a tagged union by their tag; empty for any other union."""
    structs = [struct for struct in kind.types if isinstance(struct, inspect.StructType)]
    return {str(struct.tag): struct for struct in structs if struct.tag is not None}


def one_of(value: object, known: list[str]) -> str:
    """Return the text that a value is not one of the allowed ones, naming the most similar."""
    listed = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    near = nearest(value, known)
    return f"must be {listed}, got {show(value)}{f'; did you mean {near}?' if near else ''}"


def nearest(text: object, known: list[str]) -> str | None:
    """Return the known name that a wrong one was most likely meant to be."""
    if not isinstance(text, str) or len(text) > 100:
        return None
    found = get_close_matches(text.strip().lower(), known, n=1, cutoff=0.55)
    return found[0] if found else None


def show(value: object) -> str:
    """Format a value for an error: short, and never a whole table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    shown = repr(text_without_secrets(value)) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"


def _is(value: Any, kind: inspect.Type) -> bool:
    if isinstance(value, bool):
        return isinstance(kind, inspect.BoolType)
    return isinstance(value, _PYTHON[type(kind)])


def _check_union(value: Any, kind: inspect.UnionType, path: Path) -> Iterator[Finding]:
    tagged = choices(kind)
    if tagged:
        yield from _check_tagged(value, tagged, path)
    elif value is not None:
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        found = [list(check(value, each, path)) for each in kinds]
        if len(kinds) == 1:
            yield from found[0]
        elif all(found):
            yield path, f"must be {' or '.join(_allowed(each) for each in kinds)}, got {show(value)}"


def _allowed(kind: inspect.Type) -> str:
    """Describe one of several kinds of values."""
    _, kind = unwrap(kind)
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(str(each) for each in kind.values)
    assert isinstance(kind, inspect.IntType), "only numbers have names beside them"
    return f"a whole number from {kind.ge} to {kind.le}"


def _check_tagged(value: Any, tagged: Mapping[str, inspect.StructType], path: Path) -> Iterator[Finding]:
    field = next(struct.tag_field for struct in tagged.values())
    assert field is not None, "a tagged struct has a tag field"
    if not isinstance(value, dict):
        yield path, f"must be a table, got {show(value)}"
    elif field not in value:
        yield path, f"needs {field}: {', '.join(tagged)}"
    elif not isinstance(value[field], str) or value[field] not in tagged:
        yield (*path, field), one_of(value[field], list(tagged))
    else:
        rest = {key: item for key, item in value.items() if key != field}
        yield from _check_struct(rest, tagged[value[field]], path)


def _check_struct(value: Mapping[str, Any], kind: inspect.StructType, path: Path) -> Iterator[Finding]:
    fields = {field.encode_name: field for field in kind.fields}
    for key, item in value.items():
        if key in fields:
            yield from check(item, fields[key].type, (*path, key))
        else:
            yield (*path, key), unknown(key, path, list(fields))
    for name, field in fields.items():
        if field.required and name not in value and kind.tag is not None:
            yield path, f"a source of kind {kind.tag} needs {name}"


def unknown(key: str, path: Path, known: list[str]) -> str:
    """Return the text that a setting does not exist, naming the most similar one."""
    noun = "tier" if path == ("tiers",) else "setting" if path else "section"
    near = nearest(key, known)
    hint = f", did you mean {near}?" if near else ""
    if not near or noun == "tier":
        hint += f" There are {', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else f" There is {known[0]}"
    return f"there is no such {noun}{hint}" if hint.startswith(",") else f"there is no such {noun};{hint.lower()}"


def _check_range(value: Any, kind: inspect.Type, path: Path) -> Iterator[Finding]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path, f"must be a finite number, got {value}"
        return
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        yield path, f"must be {LARGEST_INTEGER} or less, got {show(value)}"
        return
    low = getattr(kind, "ge", None)
    high = getattr(kind, "le", None)
    above = getattr(kind, "gt", None)
    if low is not None and high is not None and not low <= value <= high:
        yield path, f"must be from {low} to {high}, got {show(value)}"
    elif low is not None and value < low:
        yield path, f"must be {low} or more, got {show(value)}"
    elif above is not None and value <= above:
        yield path, f"must be more than {above}, got {show(value)}"
    elif high is not None and value > high:
        yield path, f"must be {high} or less, got {show(value)}"
    if isinstance(value, str) and len(value) < (getattr(kind, "min_length", None) or 0):
        yield path, "must not be empty"


def _check_rule(value: Any, rule: str | None, path: Path) -> Iterator[Finding]:
    wrong = RULES[rule](value) if rule is not None else None
    if wrong is not None:
        yield path, wrong


def convert(tree: Mapping[str, Any]) -> Config:
    """Build the typed configuration from values in which ``check`` found nothing."""
    return msgspec.convert(tree, Config)
