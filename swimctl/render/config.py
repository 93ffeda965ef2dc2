"""The effective configuration as TOML, with the origin of each value. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Origins = Mapping[str, object]
COMMENT_COLUMN = 48


def toml_lines(values: Mapping[str, Any], origins: Origins | None = None) -> Iterator[str]:
    """Format settings as lines of valid TOML; ``origins``, by dotted name, adds where each value comes from.

    Unset settings appear as comments.
    """
    lines = list(_table((), values, origins))
    yield from lines[1:] if lines[:1] == [""] else lines


def _table(path: tuple[str, ...], values: Mapping[str, Any], origins: Origins | None) -> Iterator[str]:
    plain = {key: value for key, value in values.items() if not _has_lines_of_its_own(value)}
    if plain and path:
        yield ""
        yield f"[{'.'.join(_key(part) for part in path)}]"
    for key, value in plain.items():
        yield _line(key, value, ".".join((*path, key)), origins)
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _table((*path, key), value, origins)
        elif _has_lines_of_its_own(value):
            for index, item in enumerate(value):
                yield ""
                yield f"[[{'.'.join(_key(part) for part in (*path, key))}]]"
                for name, inner in item.items():
                    yield _line(name, inner, f"{'.'.join((*path, key))}[{index}].{name}", origins)


def _has_lines_of_its_own(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _line(key: str, value: Any, name: str, origins: Origins | None) -> str:
    text = f"# {_key(key)} is not set" if value is None else f"{_key(key)} = {to_toml(value)}"
    if origins is None:
        return text
    origin = origins.get(name, "default")
    return f"{text:<{COMMENT_COLUMN}} {'—' if value is None else '#'} {origin}"


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "_-") for c in key) else to_toml(key)


def to_toml(value: Any) -> str:
    """Format one value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {to_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(to_toml(item) for item in value)}]"
    return repr(value)
