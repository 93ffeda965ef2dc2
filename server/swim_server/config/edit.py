"""Changes one setting in ``swim.local.toml``: the file that people write by hand is never rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from msgspec import inspect

from swim_server.config.check import choices, configuration_type, nearest, unwrap
from swim_server.config.errors import ConfigError, Origin, Problem
from swim_server.config.files import LOCAL_NAME, ConfigFile, find_files, read_file, user_folder
from swim_server.config.loading import LoadedConfig, merge_layers
from swim_server.config.parse_value import parse_value, setting_names, setting_type
from swim_server.files.replacing import replace_durably


def set_value(
    setting: str, text: str | None, path: Path | None, *, environ: Mapping[str, str], home: Path
) -> tuple[Path, LoadedConfig]:
    """Write a setting's new value beside the configuration file; None removes it again.

    Returns the file and the value in force now. Raises ConfigError, and writes nothing, if there is no such setting or
    the resulting configuration would be invalid.
    """
    parts = tuple(setting.split("."))
    value = None if text is None else parse_value(text, _single_setting(setting, parts))
    found = find_files(path, environ)
    local = _local_beside(found, path, environ)
    files = [read_file(file) for file in found if file != local]
    values = read_file(local).values if local.exists() else {}
    _change(values, parts, value)
    files.append(ConfigFile(str(local), local.absolute(), values, lambda _: Origin("file", str(local))))
    loaded = merge_layers(files, environ, {}, home)
    _write(local, tomli_w.dumps(values), like=next((file for file in found if file != local), None))
    return local, loaded


def _single_setting(setting: str, parts: tuple[str, ...]) -> inspect.Type:
    kind = setting_type(parts, configuration_type())
    _, inner = unwrap(kind) if kind is not None else (None, None)
    if inner is None:
        near = nearest(setting, setting_names())
        hint = f", did you mean {near}?" if near else "; all of them: swimctl config show"
        raise ConfigError([Problem(setting, f"there is no such setting{hint}")])
    is_list_of_tables = isinstance(inner, inspect.ListType) and _is_table(inner.item_type)
    if _is_table(inner) or is_list_of_tables:
        what = "a list of tables" if is_list_of_tables else "a table"
        raise ConfigError([Problem(setting, f"is {what}, not a single setting; edit the file by hand")])
    assert kind is not None, "it was found"
    return kind


def _is_table(kind: inspect.Type) -> bool:
    _, kind = unwrap(kind)
    return isinstance(kind, inspect.StructType) or (isinstance(kind, inspect.UnionType) and bool(choices(kind)))


def _local_beside(found: list[Path], path: Path | None, environ: Mapping[str, str]) -> Path:
    if path is not None and path.name == LOCAL_NAME:
        return path
    folder = found[0].parent if found else user_folder(environ)
    if folder is None:
        raise ConfigError([Problem(LOCAL_NAME, "this user has no home to keep it in; name a file with --config FILE")])
    return folder / LOCAL_NAME


def _change(values: dict[str, Any], parts: tuple[str, ...], value: object) -> None:
    *tables, name = parts
    for table in tables:
        values = values.setdefault(table, {})
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value


def _write(path: Path, text: str, like: Path | None) -> None:
    """Replace the file durably; a new one gets owner and mode of the main file, or is private if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_durably(path, text.encode(), follows_link=True, like=like)
