"""A key is sent to the server and to nobody else."""

from __future__ import annotations

import copy
import pickle

import pytest
from swim_client import SWIMClient
from swim_client.opening import ApiKey

SECRET = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"


def test_it_is_in_no_text_that_python_makes_of_it() -> None:
    key = ApiKey(SECRET)
    assert SECRET not in f"{key} {key!r} {[key]} {vars(type(key))}"


def test_the_client_does_not_show_it_either() -> None:
    client = SWIMClient(SECRET)
    assert SECRET not in f"{client!r} {client} {vars(client)}"


def test_it_is_neither_pickled_nor_copied_away() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(ApiKey(SECRET))
    with pytest.raises(TypeError):
        copy.deepcopy(ApiKey(SECRET))


def test_it_is_taken_out_of_texts_that_come_from_elsewhere() -> None:
    assert ApiKey(SECRET).redact(f"the key {SECRET} is unknown") == "the key [key] is unknown"


def test_blanks_around_it_go() -> None:
    assert ApiKey(f" {SECRET}\n").reveal() == SECRET


@pytest.mark.parametrize("text", ["a b", "a\r\nX-Evil: 1", "schlüssel", "a\x00b", "x" * 513])
def test_what_no_header_can_carry_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="not an API key") as raised:
        ApiKey(text)
    assert text not in str(raised.value)


def test_the_environment_gives_it_when_the_program_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_API_KEY", SECRET)
    assert ApiKey.find(None).reveal() == SECRET
    assert ApiKey.find("other").reveal() == "other"


@pytest.mark.parametrize("given", [None, "", "  "])
def test_without_any_the_error_says_where_to_put_one(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWIM_API_KEY", raising=False)
    with pytest.raises(ValueError, match="SWIM_API_KEY"):
        SWIMClient(given)


def test_a_unix_socket_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWIM_API_KEY", raising=False)
    assert "control.sock" in repr(SWIMClient(unix_path="control.sock"))
