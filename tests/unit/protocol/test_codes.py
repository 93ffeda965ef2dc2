"""Codes: those of the protocol and no others, and how a peer's value is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol import codes
from swim_server.protocol.codes import BadMessage, CloseCode, ErrorCode, show


def test_close_codes_are_those_of_the_protocol() -> None:
    assert {code.name: code.value for code in CloseCode} == {
        "NORMAL": 1000,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "UNAUTHORIZED": 4001,
        "LIMIT": 4002,
        "BAD_MESSAGES": 4003,
        "SLOW_CONSUMER": 4008,
    }


def test_error_codes_are_those_of_the_protocol_and_spelt_as_they_are_named() -> None:
    assert [code.value for code in ErrorCode] == [
        "AUTH_FAILED",
        "AUTH_UNAVAILABLE",
        "CONNECTION_LIMIT",
        "RATE_LIMITED",
        "MESSAGE_TOO_LARGE",
        "INVALID_JSON",
        "UNKNOWN_ACTION",
        "INVALID_SUBSCRIBE",
        "INVALID_CHANNEL",
        "INVALID_FILTER",
        "INVALID_PUBLISH",
        "STORAGE_UNAVAILABLE",
        "INVALID_EXPLAIN",
        "FORBIDDEN",
        "HISTORY_UNAVAILABLE",
        "RESTARTING",
        "EVENT_TOO_LARGE",
    ]
    assert all(code.name == code.value for code in ErrorCode)


@pytest.mark.parametrize("code", [*CloseCode, *ErrorCode])
def test_every_code_is_followed_by_what_a_client_should_do(code: CloseCode | ErrorCode) -> None:
    source = Path(codes.__file__).read_text(encoding="utf-8")
    documented = re.search(rf'^    {code.name} = .+\n    """(.+)"""$', source, re.MULTILINE)
    assert documented is not None
    assert re.search(
        r"client (re|stops|slows|sends|has|asks|corrects|uses)|It (stops|reconnects)|Live events", documented[1]
    )


def test_bad_message_tells_its_text_and_keeps_its_fields() -> None:
    refusal = BadMessage(ErrorCode.INVALID_JSON, "not valid JSON", {"field": "x"})
    assert (str(refusal), refusal.code, refusal.data) == ("not valid JSON", ErrorCode.INVALID_JSON, {"field": "x"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("KJFK", '"KJFK"'),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
        ("a\nb", '"a\\nb"'),
        ("\u202eevil", '"\\u202eevil"'),
        ("\ud800", "str"),
        pytest.param(10**5000, "int", id="huge"),
        (object(), "object"),
        ("x" * 1000, '"' + "x" * 78 + "…"),
    ],
)
def test_show_writes_any_value_short_and_printable(value: object, shown: str) -> None:
    assert show(value) == shown


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(anything)
def test_show_never_raises_and_never_exceeds_a_line(value: object) -> None:
    shown = show(value)
    assert len(shown) <= 80
    assert shown.isprintable()


def test_show_a_value_that_holds_itself_gives_its_type() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert show(endless) == "list"
