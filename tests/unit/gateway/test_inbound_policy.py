"""How many requests a client may send per second, and how many invalid messages."""

from __future__ import annotations

import pytest
from swim_server.gateway.inbound_policy import (
    MALFORMED_STRIKES,
    RATE_STRIKES,
    REFUSED_STRIKES,
    InboundLimit,
    RateDecision,
)


def judged(limit: InboundLimit, moment: float, count: int, rate: int = 10) -> list[RateDecision]:
    return [limit.judge(moment, rate) for _ in range(count)]


def test_ten_in_a_second_are_taken_the_next_is_refused_the_rest_ignored() -> None:
    verdicts = judged(InboundLimit(), 5.0, 13)
    assert verdicts == [RateDecision.TAKE] * 10 + [RateDecision.REFUSE] + [RateDecision.IGNORE] * 2


def test_new_second_begins_with_a_clean_sheet() -> None:
    limit = InboundLimit()
    judged(limit, 5.0, 20)
    assert judged(limit, 6.0, 10) == [RateDecision.TAKE] * 10


def test_ten_seconds_in_a_row_over_the_rate_close() -> None:
    limit = InboundLimit()
    for second in range(RATE_STRIKES - 1):
        assert RateDecision.CLOSE not in judged(limit, float(second), 30)
    assert judged(limit, float(RATE_STRIKES - 1), 11)[-1] is RateDecision.CLOSE


def test_one_calm_second_in_between_forgives() -> None:
    limit = InboundLimit()
    for second in range(30):
        count = 5 if second % (RATE_STRIKES - 1) == 0 else 30
        assert RateDecision.CLOSE not in judged(limit, float(second), count)


def test_silent_second_in_between_forgives() -> None:
    limit = InboundLimit()
    for second in range(0, 60, 2):
        assert RateDecision.CLOSE not in judged(limit, float(second), 30)


@pytest.mark.parametrize("rate", [1, 100])
def test_rate_is_the_tiers(rate: int) -> None:
    verdicts = judged(InboundLimit(), 0.0, rate + 1, rate)
    assert verdicts == [RateDecision.TAKE] * rate + [RateDecision.REFUSE]


def test_ten_unreadable_messages_in_a_row_close() -> None:
    limit = InboundLimit()
    assert [limit.record(is_malformed=True) for _ in range(MALFORMED_STRIKES)] == [False] * 9 + [True]


def test_good_message_in_between_forgives() -> None:
    limit = InboundLimit()
    for _ in range(50):
        assert not any(limit.record(is_malformed=True) for _ in range(MALFORMED_STRIKES - 1))
        assert not limit.record()


def test_hundred_refused_messages_in_a_row_close() -> None:
    limit = InboundLimit()
    assert not any(limit.record(is_refused=True) for _ in range(REFUSED_STRIKES - 1))
    assert limit.record(is_refused=True)


def test_unreadable_ones_count_among_the_refused() -> None:
    limit = InboundLimit()
    records = []
    for number in range(REFUSED_STRIKES):
        is_malformed = number % MALFORMED_STRIKES != 0
        records.append(limit.record(is_malformed=is_malformed, is_refused=True))
    assert records == [False] * (REFUSED_STRIKES - 1) + [True]
