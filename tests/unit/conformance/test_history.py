"""The scripted server's history: what a subscription receives."""

from __future__ import annotations

from swim_conformance.answers import Answers
from swim_conformance.history import History, id_order, wants


def numbers(events: list[dict[str, object]]) -> list[object]:
    return [event["data"]["n"] for event in events]  # type: ignore[index]  # data is an object in every event


def test_events_after_an_id_are_missed_and_no_others() -> None:
    history = History()
    first = history.add()
    history.add()
    assert numbers(history.missed({"after": first["id"]})) == [2]
    assert numbers(history.missed({"last": 1})) == [2]
    assert history.missed({}) == []


def test_forgotten_events_are_a_gap() -> None:
    history = History()
    first, second = history.add(), history.add()
    history.forget()
    history.add()
    assert history.has_gap({"after": first["id"]})
    assert not history.has_gap({"after": second["id"]})
    assert numbers(history.missed({"after": first["id"]})) == [3]


def test_another_epoch_is_a_gap_whatever_the_ids() -> None:
    history = History(epoch="a")
    before = history.add()["id"]
    history.begin_epoch("b", 1000)
    history.add()
    assert history.has_gap({"after": before, "epoch": "a"})
    assert numbers(history.missed({"after": before, "epoch": "a"})) == [2]


def test_order_of_ids_is_that_of_their_numbers() -> None:
    assert sorted(["10-2", "9-11", "10-10", "nonsense"], key=id_order) == ["nonsense", "9-11", "10-2", "10-10"]


def test_family_takes_in_types_of_two_parts() -> None:
    assert wants(["tmi.*"], "tmi.program.issued")
    assert wants(["*"], "a.b")
    assert not wants(["tmi.*", "flight.departed"], "flight.arrived")


def test_former_service_answers_without_resume() -> None:
    history = History(has_ids=False)
    history.add()
    answers = Answers(history, 1, resumes=False)
    assert "resume" not in answers.greeting()["data"]
    assert answers.to({"action": "subscribe", "channels": ["flight.*"], "after": "1-0"}) == [
        {"type": "subscribed", "timestamp": "2026-01-16T14:30:15.123Z", "channels": ["flight.*"], "filters": {}}
    ]


def test_override_holds_for_one_request_unless_always() -> None:
    answers = Answers(History(), 1, resumes=True)
    answers.override("ping", {"on": "ping", "error": "RATE_LIMITED"})
    assert [answers.to({"action": "ping"})[0]["type"] for _ in range(2)] == ["error", "pong"]
    answers.override("ping", {"on": "ping", "say": [], "always": True})
    assert [answers.to({"action": "ping"}) for _ in range(2)] == [[], []]


def test_same_publication_twice_is_stored_once() -> None:
    history = History()
    answers = Answers(history, 1, resumes=True)
    request = {"action": "publish", "channel": "tmi.issued", "data": {}, "event_id": "x"}
    assert [answers.to(request)[0]["accepted"] for _ in range(2)] == [1, 0]
    assert len(history.events) == 1
