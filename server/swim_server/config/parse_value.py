"""Parses values given as text, in an environment variable or on the command line, according to the setting's type."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from swim_server.config.check import choices, configuration_type, unwrap

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def setting_type(parts: tuple[str, ...], kind: inspect.Type) -> inspect.Type | None:
    """Return the type of the setting with this dotted name; None if it does not exist."""
    for part in parts:
        _, kind = unwrap(kind)
        if isinstance(kind, inspect.UnionType) and not choices(kind):
            _, kind = unwrap(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
        if isinstance(kind, inspect.StructType):
            field = next((field for field in kind.fields if field.encode_name == part), None)
            if field is None:
                return None
            kind = field.type
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        else:
            return None
    return kind


def setting_names(kind: inspect.Type | None = None, prefix: str = "") -> list[str]:
    """Return the dotted names of all single settings, including lists and free tables, but not the keys in them."""
    _, kind = unwrap(kind or configuration_type())
    if isinstance(kind, inspect.UnionType) and not choices(kind):
        _, kind = unwrap(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if not isinstance(kind, inspect.StructType):
        return [prefix]
    names = ((field, f"{prefix}.{field.encode_name}" if prefix else field.encode_name) for field in kind.fields)
    return [found for field, name in names for found in setting_names(field.type, name)]


def parse_value(text: str, kind: inspect.Type) -> Any:
    """Parse a text as this type; what can't be parsed is left as text, for ``check`` to refuse with its rule."""
    _, kind = unwrap(kind)
    if isinstance(kind, inspect.UnionType):
        if text == "":
            return None
        kinds = [unwrap(one)[1] for one in kind.types if not isinstance(one, inspect.NoneType)]
        kind = next((one for one in kinds if isinstance(one, inspect.IntType)), kinds[0])  # else its text stays
    written = text.strip()
    if isinstance(kind, inspect.BoolType):
        return True if written.lower() in _TRUE else False if written.lower() in _FALSE else text
    if isinstance(kind, (inspect.IntType, inspect.FloatType)):
        return _number(written, whole=isinstance(kind, inspect.IntType))
    if isinstance(kind, inspect.ListType):
        return _toml(written) if written.startswith("[") else [item.strip() for item in text.split(",") if item.strip()]
    if isinstance(kind, (inspect.DictType, inspect.StructType)):
        return _toml(written)
    return text


def _number(text: str, *, whole: bool) -> int | float | str:
    for convert in (int,) if whole else (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _toml(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
