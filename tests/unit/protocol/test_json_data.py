"""What may stand in an event's data."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.json_data import MAX_DEPTH, InvalidData, check_data


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"a": data}
    return data


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": None, "b": True, "c": -1.5, "d": "é\u0000😀", "e": [1, [2, {"f": []}]]},
        {"low": -(2**63), "high": 2**63 - 1},
        nested(MAX_DEPTH),
    ],
)
def test_plain_json_passes(data: dict[str, Any]) -> None:
    check_data(data)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"a": [1, {"b": 2**63}]}, "data.a[1].b"),
        ({"a": -(2**63) - 1}, "data.a"),
        ({"a": float("nan")}, "data.a"),
        ({"a": [float("inf")]}, "data.a[0]"),
        ({"a": "\ud800"}, "data.a"),
        ({"\ud800": 1}, "data"),
        ({1: 2}, "data"),
        ({"a": {None: 2}}, "data.a"),
        ({"a": b"x"}, "data.a"),
        ({"a": {1, 2}}, "data.a"),
        ({"a": (1, 2)}, "data.a"),
        ({"a": object()}, "data.a"),
        (nested(MAX_DEPTH + 1), "data"),
        (nested(100_000), "data"),
        ([], "data"),
        ("x", "data"),
        (None, "data"),
    ],
)
def test_anything_else_is_refused_with_its_path(data: Any, path: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        check_data(data)
    assert refusal.value.path == path
    assert str(refusal.value).startswith(f"{path}: ")


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), anything, max_size=4))
def test_what_passes_survives_encoding_and_decoding(data: dict[str, Any]) -> None:
    try:
        check_data(data)
    except InvalidData:
        return
    assert msgspec.json.decode(msgspec.json.encode(data)) == data
