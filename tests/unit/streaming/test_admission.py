"""Tier limits under every order of connects and disconnects."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from swim_server.streaming.admission import Admission, LimitReached, TierLimit

LIMITS = {"public": TierLimit(3), "partner": TierLimit(5, connections_per_key=2)}
OWNERS = {1: "public", 2: "public", 3: "partner", 4: "partner", 5: "partner"}


class AdmissionMachine(RuleBasedStateMachine):
    """Held against a list of who is connected."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(LIMITS)
        self.connected: list[int] = []

    @rule(key_id=st.sampled_from(sorted(OWNERS)))
    def connects(self, key_id: int) -> None:
        tier = OWNERS[key_id]
        limit = self.admission.limits[tier]
        of_tier = sum(OWNERS[each] == tier for each in self.connected)
        of_key = self.connected.count(key_id)
        expected: LimitReached | None = None
        if of_tier >= limit.connections:
            expected = LimitReached(tier, of_tier, limit.connections)
        elif limit.connections_per_key is not None and of_key >= limit.connections_per_key:
            expected = LimitReached(tier, of_key, limit.connections_per_key, is_per_key=True)
        assert self.admission.admit(tier, key_id) == expected
        if expected is None:
            self.connected.append(key_id)

    @rule(data=st.data())
    def disconnects(self, data: st.DataObject) -> None:
        if self.connected:
            key_id = data.draw(st.sampled_from(self.connected))
            self.connected.remove(key_id)
            self.admission.release(OWNERS[key_id], key_id)

    @rule(connections=st.integers(1, 6))
    def limit_changes(self, connections: int) -> None:
        self.admission.limits["public"] = TierLimit(connections)

    @rule(key_id=st.sampled_from(sorted(OWNERS)))
    def takes_over_one_that_lives_elsewhere(self, key_id: int) -> None:
        self.admission.reserve(OWNERS[key_id], key_id)
        self.connected.append(key_id)

    @invariant()
    def counts_are_exact(self) -> None:
        by_tier = Counter(OWNERS[key_id] for key_id in self.connected)
        assert all(self.admission.current(tier) == by_tier[tier] for tier in LIMITS)
        assert self.admission.by_key() == dict(Counter(self.connected))
        assert Counter(self.admission.holders()) == Counter((OWNERS[key_id], key_id) for key_id in self.connected)


TestAdmission = AdmissionMachine.TestCase
TestAdmission.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)


def test_refusal_names_tier_current_and_limit() -> None:
    reached = LimitReached("public", 5, 5)
    assert reached.message == "tier public has its maximum of connections: 5 of 5; try again later"


def test_refusal_by_key_names_no_key() -> None:
    reached = LimitReached("partner", 2, 2, is_per_key=True)
    assert reached.message == "this key has its maximum of connections: 2 of 2; try again later"


def test_releasing_what_was_not_admitted_is_a_bug() -> None:
    admission = Admission(LIMITS)
    admission.admit("public", 1)
    with pytest.raises(AssertionError):
        admission.release("public", 2)
    with pytest.raises(AssertionError):
        admission.release("partner", 1)
    assert admission.current("public") == 1
