"""The line number of a key."""

from __future__ import annotations

import tomllib
from typing import Any

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from swim_server.config.toml_lines import lines_of

EXAMPLE = '''# a comment = 1
title = "x" # [not.a.table]
"quoted key" = 1

[server]
host = """
[fake]
port = 1
"""
port = 8090
list = [
  1, # one
  { a = 1,  b = "}" },
]
inline = { x = 1, y.z = 2 }

[[sources]]
kind = 'file'
path = 'C:\\fake = 3'

[[sources]]
kind = "simulator"
  [sources.more]
  deep.er = 2024-01-01 10:00:00

[tiers . "public"]
connections=5'''


def test_lines_of_every_kind_of_key_are_found() -> None:
    assert tomllib.loads(EXAMPLE)
    lines = lines_of(EXAMPLE)
    assert {
        ("title",): 2, ("quoted key",): 3, ("server",): 5, ("server", "host"): 6, ("server", "port"): 10,
        ("server", "list", 1, "b"): 13, ("server", "inline", "y", "z"): 15, ("sources", 0): 17,
        ("sources", 0, "path"): 19, ("sources", 1, "kind"): 22, ("sources", 1, "more", "deep", "er"): 24,
        ("tiers", "public"): 26, ("tiers", "public", "connections"): 27,
    }.items() <= lines.items()  # fmt: skip
    assert ("fake",) not in lines
    assert ("server", "fake") not in lines


def test_lines_of_a_text_with_windows_line_ends_are_the_same() -> None:
    assert lines_of(EXAMPLE.replace("\n", "\r\n")) == lines_of(EXAMPLE)


def test_lines_of_an_empty_text_are_none() -> None:
    assert lines_of("") == lines_of("\n# nothing\n\n") == {}


_scalar = st.one_of(
    st.text(max_size=12), st.integers(-(2**31), 2**31), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
_value = st.recursive(
    _scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=8), _value, max_size=5))
def test_lines_of_any_document_cover_every_scalar_and_are_on_the_line_of_its_key(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    lines = lines_of(text)
    for path in _scalars(tomllib.loads(text), ()):
        assert path in lines
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


def _scalars(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _scalars(item, (*path, key))]
    return [path]
