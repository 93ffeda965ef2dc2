"""Finds the values of a configuration whose type has a rule: paths to be made absolute, secrets to be hidden."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from swim_server.config.check import choices, configuration_type, unwrap

At = tuple[str | int, ...]
Place = tuple[At, str, Any, str | int]
"""Path, rule, the table or list that contains the value, and its key there."""


def annotated_values(values: dict[str, Any]) -> Iterator[Place]:
    """Yield each text of a checked configuration whose type has a rule."""
    yield from _walk(values, configuration_type(), ())


def _walk(holder: Any, kind: inspect.Type, path: At) -> Iterator[Place]:
    items: list[tuple[str | int, inspect.Type]] = []
    if isinstance(kind, inspect.StructType):
        items = [(field.encode_name, field.type) for field in kind.fields if field.encode_name in holder]
    elif isinstance(kind, inspect.DictType):
        items = [(key, kind.value_type) for key in holder]
    elif isinstance(kind, inspect.ListType):
        items = [(index, kind.item_type) for index in range(len(holder))]
    for key, declared in items:
        rule, inner = _real(declared, holder[key])
        if isinstance(holder[key], str) and rule is not None:
            yield (*path, key), rule, holder, key
        elif holder[key] is not None:
            yield from _walk(holder[key], inner, (*path, key))


def _real(kind: inspect.Type, value: Any) -> tuple[str | None, inspect.Type]:
    """Return the actual type of this value, for an optional type or a tagged union."""
    rule, kind = unwrap(kind)
    if isinstance(kind, inspect.UnionType):
        tagged = choices(kind)
        if tagged:
            struct = tagged[value["kind"]]
            return None, struct
        return unwrap(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    return rule, kind
