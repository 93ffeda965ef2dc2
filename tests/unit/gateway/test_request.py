"""Which endpoint a request leads to, and which key it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.gateway.request import MAX_QUERY_FIELDS, is_known_path, presented_key, query_value
from websockets.datastructures import Headers


def key_of(target: str, headers: Headers) -> str:
    return presented_key(target, headers).api_key


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?api_key=x",
        "/api/swim/v1/ws",
        "/api/swim/v1/ws/",
        "/api/swim/v1/ws?api_key=x",
        "/api/swim/v1/ws/?api_key=x/y",
        "/ws/swim/v1",
        "/ws/swim/v1/",
        "http://swim.test/api/swim/v1/ws",
        "http://swim.test/api/swim/v1/ws/?key=x",
        "ws://swim.test/",
        "http://swim.test",
        "?api_key=x",
    ],
)
def test_known_path_in_every_form_is_known(target: str) -> None:
    assert is_known_path(target)


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        "/api/swim/v1",
        "/api/swim/v1/ws/x",
        "/API/SWIM/V1/WS",
        "/ws/swim/v2",
        "//evil.test/",
        "//api/swim/v1/ws",
        "*",
        "/../",
        "/%2e",
        "http://[::1/",
        "http://swim.test/nowhere",
    ],
)
def test_other_path_is_unknown(target: str) -> None:
    assert not is_known_path(target)


@pytest.mark.parametrize("name", ["api_key", "apiKey", "key"])
def test_query_brings_the_key_under_each_name(name: str) -> None:
    assert key_of(f"/?a=1&{name}=swim_dev_x&b=2", Headers()) == "swim_dev_x"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer swim_dev_x"),
        ("authorization", "bearer swim_dev_x"),
        ("AUTHORIZATION", "BEARER   swim_dev_x  "),
        ("X-SWIM-API-Key", "swim_dev_x"),
        ("x-swim-api-key", "swim_dev_x"),
        ("X-API-Key", "swim_dev_x"),
        ("x-Api-KEY", "swim_dev_x"),
    ],
)
def test_header_brings_the_key_in_any_case(header: str, value: str) -> None:
    assert key_of("/", Headers([(header, value)])) == "swim_dev_x"


def test_key_is_taken_in_the_order_of_the_protocol() -> None:
    places = [
        ("api_key=1", None),
        ("apiKey=2", None),
        ("key=3", None),
        (None, ("Authorization", "Bearer 4")),
        (None, ("X-SWIM-API-Key", "5")),
        (None, ("X-API-Key", "6")),
    ]
    for first in range(len(places)):
        rest = places[first:]
        query = "&".join(reversed([part for part, _ in rest if part]))
        headers = Headers([header for _, header in reversed(rest) if header])
        assert key_of(f"/?{query}", headers) == str(first + 1)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ""),
        ("/?", ""),
        ("/?api_key=", ""),
        ("/?api_key", ""),
        ("/?api_key=&apiKey=b", "b"),
        ("/?api_key=a&api_key=b", "a"),
        ("/?api_key=swim%5Fdev%5Fx", "swim_dev_x"),
        ("/?api_key=a+b", "a b"),
        ("/?api_key=%FF", "\ufffd"),
        ("/?api_key=a%00b", "a\x00b"),
        ("/?API_KEY=a", ""),
        ("/?x?api_key=a", ""),
        ("/?next=/?&api_key=a", "a"),
        ("http://swim.test/?api_key=a", "a"),
    ],
)
def test_query_is_read_as_browsers_write_it(target: str, expected: str) -> None:
    assert key_of(target, Headers()) == expected


def test_empty_query_value_leaves_it_to_the_header() -> None:
    assert key_of("/?api_key=", Headers([("X-API-Key", "a")])) == "a"


@pytest.mark.parametrize("value", ["Basic dTpw", "Bearer", "Bearer ", "swim_dev_x", ""])
def test_other_authorization_is_passed_over(value: str) -> None:
    assert key_of("/", Headers([("Authorization", value), ("X-API-Key", "a")])) == "a"


def test_repeated_header_counts_by_its_first_useful_value() -> None:
    headers = Headers([("Authorization", "Basic x"), ("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
    assert key_of("/", headers) == "a"


def test_query_with_absurdly_many_fields_brings_no_key() -> None:
    query = "&".join(["a=1"] * (MAX_QUERY_FIELDS + 1))
    assert key_of(f"/?api_key=x&{query}", Headers([("X-API-Key", "h")])) == "h"


NAMES = st.sampled_from(["Authorization", "X-API-Key", "X-SWIM-API-Key"])
VALUES = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]))


@given(st.text(), st.dictionaries(NAMES, VALUES))
def test_whatever_is_sent_is_read_without_an_error(target: str, headers: dict[str, str]) -> None:
    is_known_path(target)
    assert isinstance(key_of(target, Headers(list(headers.items()))), str)


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        (
            "/",
            [("Authorization", "Bearer eyJ0"), ("X-SWIM-API-Key", "swim_dev_x")],
            ("swim_dev_x", "the header X-SWIM-API-Key"),
        ),
        ("/?key=other", [("X-API-Key", "swim_dev_x")], ("swim_dev_x", "the header X-API-Key")),
        ("/?api_key=other&key=swim_dev_x", [], ("swim_dev_x", "the query parameter key")),
        ("/?apiKey=swim_a", [("Authorization", "Bearer swim_b")], ("swim_a", "the query parameter apiKey")),
        ("/?key=other", [("Authorization", "Bearer eyJ0")], ("other", "the query parameter key")),
        ("/", [("Authorization", "Bearer eyJ0")], ("eyJ0", "the header Authorization")),
        ("/", [], ("", "")),
    ],
)
def test_of_several_credentials_the_first_that_looks_like_a_key_counts(
    target: str, headers: list[tuple[str, str]], expected: tuple[str, str]
) -> None:
    assert presented_key(target, Headers(headers)) == expected


def test_query_value_is_the_first_of_its_name() -> None:
    assert query_value("/?a=1&b=2&b=3", "b") == "2"
    assert query_value("/?a=1", "b") is None
