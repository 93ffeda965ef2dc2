"""Several addresses of one service behind one ``--url``: each is tried in turn until one answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from swimctl.client.connect import LimitReached, _InTurn, split_urls
from swimctl.client.session import Session
from swimctl.doctor.request import Format, Request
from swimctl.errors import CommandError, CommandFailed, DaemonNotRunning, Refused, WrongUsage


class Address:
    """Answers with what it is told to, one after the other; the last for good."""

    def __init__(self, name: str, *answers: CommandError | None) -> None:
        self._name = name
        self._answers = list(answers) or [None]

    def __call__(self) -> Session:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is not None:
            raise answer
        return cast("Session", self._name)


def in_turn(*addresses: Address) -> Callable[[], str]:
    """Return a function that opens a session, and tells at which address."""
    opened = _InTurn(addresses)
    return lambda: cast("str", opened())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ws://a/ws", ["ws://a/ws"]),
        ("ws://a/ws, wss://b/ws,", ["ws://a/ws", "wss://b/ws"]),
        ("ws://a/ws,ws://a/ws", ["ws://a/ws"]),
        ("ws://a/?box=1,2,http://b/", ["ws://a/?box=1,2", "http://b/"]),
    ],
)
def test_commas_before_an_address_separate(given: str, expected: list[str]) -> None:
    assert split_urls(given) == expected


def test_each_session_is_opened_at_the_next_address_beginning_with_the_first() -> None:
    opened = in_turn(Address("a"), Address("b"), Address("c"))
    assert [opened() for _ in range(4)] == ["a", "b", "c", "a"]


def test_an_address_that_does_not_answer_is_passed_over() -> None:
    gone, full = DaemonNotRunning("nothing answers at a"), LimitReached("the tier is full")
    assert in_turn(Address("a", gone), Address("b", full), Address("c"))() == "c"


def test_a_refused_key_is_tried_nowhere_else() -> None:
    with pytest.raises(Refused, match="the key was refused"):
        in_turn(Address("a", Refused("the key was refused")), Address("b"))()


def test_all_that_do_not_answer_are_named() -> None:
    gone = [Address(name, DaemonNotRunning(f"nothing answers at {name}")) for name in "ab"]
    with pytest.raises(DaemonNotRunning, match="nothing answers at a; nothing answers at b"):
        in_turn(*gone)()


def test_the_one_that_answered_says_more_than_those_that_are_gone() -> None:
    gone, proxy = DaemonNotRunning("nothing answers at a"), CommandFailed("b answered with HTTP 404")
    with pytest.raises(CommandFailed, match="HTTP 404"):
        in_turn(Address("a", gone), Address("b", proxy))()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"url": "ws://a/ws,ws://b/ws"}, "doctor checks one address at a time"),
        ({"node": "swim-2", "fix": True}, "--node can't be combined with any of --fix"),
        ({"node": "swim-2", "url": "ws://a/ws"}, "--node can't be combined with any of --fix"),
    ],
)
def test_doctor_examines_one_place_at_a_time(fields: dict[str, object], told: str) -> None:
    values: dict[str, object] = {
        "only": (), "skip": (), "list_checks": False, "fix": False, "yes": False, "strict": False,
        "format": Format.TEXT, "explain": None, "save_facts": None, "facts": None, "watch": False, "on_change": None,
        "interval": 5.0, "bundle": None, "url": None, "deep": False, "expect_version": None, "timeout": None,
    }  # fmt: skip
    with pytest.raises(WrongUsage, match=told):
        Request(**(values | fields)).refuse_contradictions()  # type: ignore[arg-type]  # the fields of Request
