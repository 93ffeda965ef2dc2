"""What is cached about keys, for how long, and what is evicted."""

from __future__ import annotations

import msgspec
import pytest
from swim_server.keys.decision_cache import DecisionCache
from swim_server.keys.format import Tier
from swim_server.keys.records import KeyRecord


def record(key_id: int = 1) -> KeyRecord:
    return KeyRecord(id=key_id, hint="…", tier=Tier.PUBLIC, owner_name="x")


@pytest.fixture
def cache() -> DecisionCache:
    return DecisionCache(good_seconds=300, bad_seconds=5, stale_seconds=60, good_limit=3, bad_limit=3)


def fill_bad(cache: DecisionCache, count: int) -> None:
    for number in range(count):
        cache.remember(b"bad%d" % number, None, 0, is_good=False)


def test_good_answer_is_fresh_then_stale_then_gone(cache: DecisionCache) -> None:
    cache.remember(b"a", record(), 100, is_good=True)
    for now, is_fresh, is_stale in ((399, True, True), (400, False, True), (459, False, True), (460, False, False)):
        assert (cache.fresh(b"a", now) is not None) is is_fresh
        assert (cache.stale(b"a", now) is not None) is is_stale


def test_bad_answer_is_fresh_for_seconds_and_never_stale(cache: DecisionCache) -> None:
    cache.remember(b"a", record(), 100, is_good=False)
    assert cache.fresh(b"a", 104) is not None
    assert cache.fresh(b"a", 105) is None
    assert cache.stale(b"a", 101) is None


def test_flood_of_bad_keys_pushes_no_good_one_out(cache: DecisionCache) -> None:
    cache.remember(b"a", record(), 0, is_good=True)
    fill_bad(cache, 100)
    assert cache.fresh(b"a", 1) is not None
    assert len(cache) == 4


def test_oldest_good_answer_goes_when_there_are_too_many(cache: DecisionCache) -> None:
    for number in range(4):
        cache.remember(b"%d" % number, record(number), number, is_good=True)
    assert cache.fresh(b"0", 5) is None
    assert cache.good_ids(5) == {1, 2, 3}


def test_good_answer_replaces_a_bad_one_and_the_other_way_round(cache: DecisionCache) -> None:
    cache.remember(b"a", None, 0, is_good=False)
    cache.remember(b"a", record(), 0, is_good=True)
    assert len(cache) == 1
    cache.remember(b"a", record(), 0, is_good=False)
    assert len(cache) == 1
    assert cache.stale(b"a", 0) is None
    assert cache.good_ids(0) == set()


def test_forget_drops_the_key_and_every_bad_answer(cache: DecisionCache) -> None:
    cache.remember(b"a", record(1), 0, is_good=True)
    cache.remember(b"b", record(2), 0, is_good=True)
    fill_bad(cache, 2)
    cache.forget(1)
    assert cache.fresh(b"a", 0) is None
    assert cache.fresh(b"b", 0) is not None
    assert len(cache) == 1
    cache.forget_all()
    assert len(cache) == 0


def test_refresh_makes_only_used_keys_young_again(cache: DecisionCache) -> None:
    cache.remember(b"a", record(1), 0, is_good=True)
    cache.remember(b"b", record(2), 0, is_good=True)
    changed = msgspec.structs.replace(record(2), owner_name="y")
    for told in (record(1), changed, record(3)):
        cache.refresh(told.id, told, 200, is_good=True, is_used=told.id == 1)
    assert cache.fresh(b"a", 400) is not None
    assert cache.fresh(b"b", 400) is None
    assert cache.stale(b"b", 350) == changed


def test_refresh_turns_an_ended_key_into_a_bad_answer(cache: DecisionCache) -> None:
    cache.remember(b"a", record(1), 0, is_good=True)
    cache.refresh(1, None, 10, is_good=False, is_used=True)
    answer = cache.fresh(b"a", 11)
    assert answer is not None
    assert answer.record is None


def test_ids_of_keys_too_old_to_be_given_are_dropped(cache: DecisionCache) -> None:
    cache.remember(b"a", record(1), 0, is_good=True)
    assert cache.good_ids(359) == {1}
    assert cache.good_ids(360) == set()
    assert len(cache) == 0
