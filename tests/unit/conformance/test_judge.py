"""The judge finds what is wrong with a client, and nothing if all is well."""

from __future__ import annotations

from typing import Any

import pytest
from swim_conformance.judge import Run, judge
from swim_conformance.matrix import markdown, problems, table
from swim_conformance.patterns import matches
from swim_conformance.runner import Result
from swim_conformance.scenario import load

IDS = {1: "100-0", 2: "101-0", 3: "102-0"}
KEY = "swim_dev_secret"


def event(n: int, event_id: str | None = None) -> dict[str, Any]:
    return {"saw": "event", "type": "flight.departed", "id": event_id or IDS[n], "data": {"n": n}}


def sent(message: dict[str, Any], at: float = 1.0, connection: int = 1) -> dict[str, Any]:
    return {"what": "received", "at": at, "connection": connection, "message": message}


def found(expect: dict[str, Any], reports: list[Any], log: list[Any] | None = None) -> str:
    return "; ".join(judge(expect, Run(reports, log or [], IDS, KEY)))


def test_right_run_passes() -> None:
    log = [{"what": "attempt", "at": 0.0, "connection": 1}, sent({"action": "subscribe", "after": "100-0"})]
    expect = {
        "events": [1, 2],
        "attempts": 1,
        "sent": [{"connection": 1, "has": {"after": "$id:1"}, "lacks": ["since"]}],
        "saw": [{"saw": "event", "data": {"n": 2}}],
        "ended": "stopped",
    }
    assert found(expect, [event(1), event(2), {"saw": "ended", "why": "stopped"}], log) == ""


def test_addresses_are_named_in_the_order_of_their_use() -> None:
    log = [{"what": "attempt", "at": 0.0, "connection": 1, "address": port} for port in (812, 811, 812, 813)]
    assert found({"addresses": "abac"}, [], log) == ""
    assert "went to the addresses 'abac', not 'abab'" in found({"addresses": "abab"}, [], log)


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"events": [1]}, "handed over [1, 2], not [1]"),
        ({"attempts": 1}, "0 attempts to connect, not 1"),
        ({"addresses": "a"}, "the attempts went to the addresses '', not 'a'"),
        ({"saw": [{"saw": "gap"}]}, "no report {'saw': 'gap'}"),
        ({"never": [{"saw": "event"}]}, "reported what must not be"),
        ({"times": [[{"saw": "event"}, 1]]}, "was reported 2 times, not 1"),
        ({"sent": [{"connection": 1, "has": {"action": "ping"}}]}, "never sent"),
        ({"ended": "auth"}, "ended with nothing at all, not 'auth'"),
        ({"pauses": [{"before": 2, "max": 1}]}, "there was no attempt 2"),
        ({"closed": [{"connection": 1, "code": 1000}]}, "not closed as expected"),
    ],
)
def test_each_expectation_can_fail(expect: dict[str, Any], told: str) -> None:
    assert told in found(expect, [event(1), event(2)])


def test_event_twice_or_out_of_order_fails_whatever_is_expected() -> None:
    assert "handed over twice: 100-0" in found({"attempts": 0}, [event(1), event(1)])
    assert "not handed over in the order" in found({"attempts": 0}, [event(2), event(1)])
    assert found({"attempts": 0, "repeats": True}, [event(1), event(1)]) == ""


def test_key_in_a_report_fails_whatever_is_expected() -> None:
    assert "the key stands in a report" in found({"attempts": 0}, [{"saw": "ended", "message": f"bad {KEY}"}])


def test_eleven_messages_at_once_fail_whatever_is_expected() -> None:
    assert "more than 10 messages" in found({"attempts": 0}, [], [sent({"action": "ping"}) for _ in range(11)])


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ({"has": "b"}, ["a", "b"], True),
        ({"lacks": "b"}, ["a", "b"], False),
        ({"any": True}, None, False),
        ({"min": 2}, 1, False),
        ({"max": 2}, 2, True),
        ({"one_of": [1, "$id:1"]}, "100-0", True),
        ({"set": ["b", "a"]}, ["a", "b"], True),
        ({"a": {"b": [1]}}, {"a": {"b": [1], "c": 2}}, True),
        ({"a": 1}, None, False),
        ([1], [1, 2], False),
    ],
)
def test_patterns(pattern: Any, value: Any, fits: bool) -> None:
    assert matches(pattern, value, IDS) is fits


def test_matrix_shows_passed_failed_and_not_judged() -> None:
    first, second, third = load()[:3]
    columns = {"one": [Result(first, True), Result(second, True, ["broken"]), Result(third, False)]}
    assert [line.split()[-1] for line in table(columns)] == ["one", "✓", "✗", "–", "1"]
    assert markdown(columns)[3].endswith("| ✗ |")
    assert problems(columns) == [f"one: {second.name}: broken"]
