"""The annotated swim.toml: it has every setting, and its defaults are right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect
from swim_server.config import Config, SourceConfig, load
from swim_server.config.check import choices
from swim_server.config.parse_value import setting_names

from swimctl.commands.config import read_template

TEMPLATE = read_template()
_SETTING = re.compile(r'^# (?=(?:"?[\w.-]+"? = |\[))', re.MULTILINE)


def uncommented() -> str:
    return _SETTING.sub("", TEMPLATE)


def lines_not_set() -> set[str]:
    """Settings whose comment says that they have no default: what stands there is an example."""
    return {line for line in uncommented().splitlines() if "# not set" in line or "# needed" in line}


def test_template_as_it_is_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(TEMPLATE, "utf-8")
    loaded = load(file, environ={}, home=tmp_path)
    assert {str(origin) for origin in loaded.origins.values()} == {"default"}


def test_template_uncommented_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "swim.toml"
    text = "\n".join(line for line in uncommented().splitlines() if not line.startswith("odbc ="))
    file.write_text(text, "utf-8")
    load(file, environ={}, home=tmp_path)


@pytest.mark.parametrize("name", [name for name in setting_names() if name != "sources"])
def test_template_has_the_setting(name: str) -> None:
    found: Any = tomllib.loads(uncommented())
    for part in name.split("."):
        assert part in found, f"{name} stands nowhere in config/swim.toml"
        found = found[part]


def test_template_defaults_are_the_real_ones() -> None:
    text = "\n".join(line for line in uncommented().splitlines() if line not in lines_not_set())
    written = without_nothing(tomllib.loads(text))
    assert written == without_nothing(msgspec.to_builtins(Config()))


def test_template_says_not_set_only_of_what_has_no_default() -> None:
    kept = lines_not_set()
    text = "\n".join(line for line in uncommented().splitlines() if line.startswith("[") or line in kept)
    written = tomllib.loads(text)
    defaults = msgspec.to_builtins(Config())
    for section in written.keys() - {"sources"}:
        assert not common(written[section], without_nothing(defaults[section]))


def without_nothing(value: Any) -> Any:
    """Leave out what has no default, empty tables, and the sources, which are examples."""
    if isinstance(value, dict):
        kept = {key: without_nothing(item) for key, item in value.items() if key != "sources"}
        return {key: item for key, item in kept.items() if item is not None and item != {}}
    return value


def common(one: Any, other: Any, path: str = "") -> list[str]:
    """Dotted names of the values that both have."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [found for key in one.keys() & other.keys() for found in common(one[key], other[key], f"{path}.{key}")]
    return [path]


def test_template_shows_each_kind_of_source_with_all_its_words_and_true_defaults() -> None:
    union = inspect.type_info(SourceConfig)
    assert isinstance(union, inspect.UnionType)
    shown = {source["kind"]: source for source in tomllib.loads(uncommented())["sources"]}
    assert shown.keys() == choices(union).keys()
    for kind, struct in choices(union).items():
        fields = {field.encode_name: field for field in struct.fields}
        assert shown[kind].keys() == {"kind", *fields}
        for name, field in fields.items():
            if not field.required and field.default is not None:
                assert shown[kind][name] == field.default, f"{kind}.{name}"
