"""May I restart now? The worst reason is the answer, and every reason is given."""

from __future__ import annotations

from typing import Any

import pytest
from swim_server.daemon.desk.restart_advice import RestartFacts, advise


@pytest.mark.parametrize(
    ("fields", "answer", "words"),
    [
        ({}, "yes", "nobody is connected"),
        ({"connections": 1}, "yes", "1 client is asked to move"),
        ({"connections": 1200}, "yes", "1,200 clients are asked to move, one after the other"),
        ({"connections": 2, "not_resuming": 2}, "yes", "2 clients are not resuming"),
        ({"connections": 2, "catching_up": 1}, "wait", "1 client is being sent history"),
        ({"keys_not_stored": [7]}, "wait", "would be good again: 7"),
        ({"history_trouble": "the disk is full"}, "wait", "the disk is full"),
        ({"is_state_loaded": False}, "wait", "still being loaded"),
        ({"is_handing_over": True}, "no", "under way"),
        ({"refusal": "supervisord runs it"}, "no", "supervisord runs it"),
        ({"config_problem": "in tiers: ..."}, "no", "would not start: in tiers: ..."),
        ({"config_changes": ["server.port"]}, "yes", "also change server.port"),
    ],
)
def test_each_fact_has_its_answer_and_its_words(fields: dict[str, Any], answer: str, words: str) -> None:
    advice = advise(RestartFacts(**fields))
    assert advice.answer == answer
    assert any(words in reason.text for reason in advice.reasons)


def test_worst_reason_is_the_answer_and_all_are_told() -> None:
    advice = advise(RestartFacts(is_handing_over=True, catching_up=3, connections=3))
    assert advice.answer == "no"
    assert [reason.answer for reason in advice.reasons] == ["no", "wait", "yes"]
