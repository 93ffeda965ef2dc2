"""The authenticator: what it caches, how often it asks, and what it answers while it can't."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from support.fake_key_store import FakeKeyStore
from support.seeded_bytes import SeededBytes
from support.virtual_clock import VirtualClock
from swim_server.keys.authenticator import Authenticator, key_worker_pool
from swim_server.keys.format import Tier, generate
from swim_server.keys.records import Fingerprint, Granted, KeyRecord, Refused, Unavailable
from swim_server.sql.errors import PermissionDenied, StoreUnavailable

KEY = generate(Tier.DEVELOPER, SeededBytes(1))
OTHER_KEY = generate(Tier.DEVELOPER, SeededBytes(2))
AWAY = StoreUnavailable("gone fishing")


def record(key_id: int = 1, **more: object) -> KeyRecord:
    fields = {"id": key_id, "hint": "…", "tier": Tier.DEVELOPER, "owner_name": "Ada"} | more
    return msgspec.convert(fields, KeyRecord)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store() -> FakeKeyStore:
    store = FakeKeyStore()
    store.keys[KEY] = record()
    return store


@pytest.fixture
def authenticator(store: FakeKeyStore, clock: VirtualClock) -> Iterator[Authenticator]:
    authenticator = Authenticator(
        store,
        clock=clock,
        pool=key_worker_pool(clock),
    )
    yield authenticator
    store.open.set()


async def test_good_key_is_granted_and_remembered_for_five_minutes(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    assert authenticator.cached(KEY, None) is None
    assert await authenticator.authenticate(KEY, None) == Granted(record())
    clock.advance(299)
    assert authenticator.cached(KEY, None) == Granted(record())
    clock.advance(2)
    assert authenticator.cached(KEY, None) is None
    assert store.queries == [[KEY]]


async def test_unknown_key_is_refused_and_remembered_for_seconds(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    assert isinstance(await authenticator.authenticate(OTHER_KEY, None), Refused)
    assert isinstance(authenticator.cached(OTHER_KEY, None), Refused)
    clock.advance(6)
    store.keys[OTHER_KEY] = record(2)
    assert await authenticator.authenticate(OTHER_KEY, None) == Granted(record(2))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("sha256$x", "malformed"),
        (KEY + " ", "malformed"),
        (KEY + "\0", "malformed"),
        ("x" * 10_240, "malformed"),
        (KEY[:9] + KEY[9:].swapcase(), "checksum"),
    ],
)
async def test_text_that_can_be_no_key_is_refused_without_a_query(
    authenticator: Authenticator, store: FakeKeyStore, key: str | None, reason: str
) -> None:
    store.failure = AWAY
    for decision in (authenticator.cached(key, None), await authenticator.authenticate(key, None)):
        assert isinstance(decision, Refused)
        assert decision.reason == reason
    assert store.queries == []


async def test_hundred_simultaneous_connects_with_one_key_ask_once(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    store.open.clear()
    waiting = [asyncio.ensure_future(authenticator.authenticate(KEY, None)) for _ in range(100)]
    await asyncio.sleep(0)
    store.open.set()
    assert await asyncio.gather(*waiting) == [Granted(record())] * 100
    assert store.queries == [[KEY]]


async def test_different_keys_that_wait_together_are_asked_for_in_one_query(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    keys = [generate(Tier.DEVELOPER, SeededBytes(seed)) for seed in range(10, 40)]
    store.keys |= {key: record(seed) for seed, key in enumerate(keys, 10)}
    decisions = await asyncio.gather(*(authenticator.authenticate(key, None) for key in [*keys, OTHER_KEY]))
    assert [type(decision) for decision in decisions] == [Granted] * 30 + [Refused]
    assert store.queries == [[*keys, OTHER_KEY]]


async def test_waiter_that_goes_away_does_not_take_the_lookup_with_it(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    store.open.clear()
    first = asyncio.ensure_future(authenticator.authenticate(KEY, None))
    second = asyncio.ensure_future(authenticator.authenticate(KEY, None))
    await asyncio.sleep(0)
    first.cancel()
    store.open.set()
    assert await second == Granted(record())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_active": False}, "inactive"),
        ({"expires_at": "2026-01-16T14:30:00Z"}, "expired"),
        ({"unknown_tier": "platinum"}, "tier"),
        ({"ip_whitelist": ["10.0.0.0/8"]}, "address"),
    ],
)
async def test_key_that_does_not_hold_is_refused_with_its_reason(
    authenticator: Authenticator, store: FakeKeyStore, change: dict[str, Any], reason: str
) -> None:
    store.keys[KEY] = record(**change)
    decision = await authenticator.authenticate(KEY, "192.0.2.1")
    assert isinstance(decision, Refused)
    assert (decision.reason, decision.key_id) == (reason, 1)


async def test_remembered_key_expires_on_time(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.keys[KEY] = record(expires_at="2026-01-16T14:31:00Z")
    assert isinstance(await authenticator.authenticate(KEY, None), Granted)
    clock.advance(60)
    decision = authenticator.cached(KEY, None)
    assert isinstance(decision, Refused)
    assert decision.reason == "expired"


async def test_remembered_key_is_judged_by_each_address(authenticator: Authenticator, store: FakeKeyStore) -> None:
    store.keys[KEY] = record(ip_whitelist=["10.0.0.0/8", "2001:db8::/32"])
    assert isinstance(await authenticator.authenticate(KEY, "10.1.2.3"), Granted)
    assert isinstance(authenticator.cached(KEY, "::ffff:10.1.2.3"), Granted)
    assert isinstance(authenticator.cached(KEY, "2001:db8::9"), Granted)
    for address in ("11.1.2.3", None, "unknown"):
        assert isinstance(authenticator.cached(KEY, address), Refused)


async def test_forgotten_key_is_asked_for_again(authenticator: Authenticator, store: FakeKeyStore) -> None:
    await authenticator.authenticate(KEY, None)
    store.keys[KEY] = record(is_active=False)
    authenticator.forget(1)
    assert isinstance(await authenticator.authenticate(KEY, None), Refused)


async def test_key_created_after_it_was_refused_is_granted_once_it_is_announced(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    await authenticator.authenticate(OTHER_KEY, None)
    store.keys[OTHER_KEY] = record(2)
    authenticator.forget(2)
    assert isinstance(await authenticator.authenticate(OTHER_KEY, None), Granted)


async def test_key_revoked_while_it_is_being_looked_up_is_refused(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    """The lookup read the row before the revocation, and returns after it: what it read must count for nothing."""
    store.open.clear()
    waiting = asyncio.ensure_future(authenticator.authenticate(KEY, None))
    await asyncio.to_thread(store.answered.wait, 5)
    store.keys[KEY] = record(is_active=False)
    authenticator.forget(1)
    store.open.set()
    assert isinstance(await waiting, Refused)


async def test_stale_key_stays_good_for_the_grace_while_the_database_is_away(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    await authenticator.authenticate(KEY, None)
    store.failure = AWAY
    clock.advance(300 + 3599)
    assert await authenticator.authenticate(KEY, None) == Granted(record())
    clock.advance(2)
    assert isinstance(await authenticator.authenticate(KEY, None), Unavailable)


async def test_stale_key_that_has_expired_meanwhile_is_refused(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.keys[KEY] = record(expires_at="2026-01-16T14:40:00Z")
    await authenticator.authenticate(KEY, None)
    store.failure = AWAY
    clock.advance(601)
    assert isinstance(await authenticator.authenticate(KEY, None), Refused)


async def test_unknown_key_gets_unavailable_while_the_database_is_away_and_access_when_it_is_back(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.failure = AWAY
    assert await authenticator.authenticate(KEY, None) == Unavailable("gone fishing")
    assert authenticator.status().problem == "gone fishing"
    store.failure = None
    clock.advance(1.5)
    assert await authenticator.authenticate(KEY, None) == Granted(record())
    assert authenticator.status().problem is None


async def test_refused_key_is_never_granted_by_the_grace(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.keys[KEY] = record(is_active=False)
    await authenticator.authenticate(KEY, None)
    store.failure = AWAY
    clock.advance(301)
    assert isinstance(await authenticator.authenticate(KEY, None), Unavailable)


async def test_hanging_database_holds_few_threads_and_no_waiters(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    await authenticator.authenticate(KEY, None)
    authenticator._pool.timeout_seconds = 0.01
    before = threading.active_count()
    store.open.clear()
    keys = [generate(Tier.DEVELOPER, SeededBytes(seed)) for seed in range(10, 60)]
    decisions = await asyncio.gather(*(authenticator.authenticate(key, None) for key in keys))
    assert {type(decision) for decision in decisions} == {Unavailable}
    assert isinstance(authenticator.cached(KEY, None), Granted)
    queries = len(store.queries)
    assert isinstance(await authenticator.authenticate(OTHER_KEY, None), Unavailable)
    assert len(store.queries) == queries, "while it rests nobody asks"
    assert threading.active_count() - before <= 4
    assert authenticator.status().pending == 0
    assert len(asyncio.all_tasks()) == 1


async def test_check_reads_all_live_keys_in_one_query_and_tells_what_is_gone(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    await authenticator.authenticate(KEY, None)
    found = await authenticator.check([1, 7])
    assert found == {1: record(), 7: None}
    assert store.reads == [{1, 7}]


async def test_check_renews_what_is_remembered_of_other_keys_too(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    await authenticator.authenticate(KEY, None)
    store.keys[KEY] = record(is_active=False)
    assert await authenticator.check([7]) == {7: None}
    assert isinstance(authenticator.cached(KEY, None), Refused)


async def test_check_keeps_the_answers_of_keys_that_hold_connections_young(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.keys[OTHER_KEY] = record(2)
    await authenticator.authenticate(KEY, None)
    await authenticator.authenticate(OTHER_KEY, None)
    clock.advance(200)
    await authenticator.check([1])
    clock.advance(200)
    assert isinstance(authenticator.cached(KEY, None), Granted)
    assert authenticator.cached(OTHER_KEY, None) is None


async def test_check_raises_while_the_database_is_away(authenticator: Authenticator, store: FakeKeyStore) -> None:
    store.failure = AWAY
    with pytest.raises(StoreUnavailable):
        await authenticator.check([1])


async def test_check_of_nothing_asks_nothing(authenticator: Authenticator, store: FakeKeyStore) -> None:
    assert await authenticator.check([]) == {}
    assert store.reads == []


async def test_uses_and_refusals_are_written_in_batches(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    for _ in range(3):
        await authenticator.authenticate(KEY, "192.0.2.1")
        await authenticator.authenticate(OTHER_KEY, "192.0.2.9")
    authenticator.touch(7)
    assert await authenticator.recorder.flush()
    assert store.touched == [({1, 7}, clock.now)]
    assert [(entry.origin, entry.detail, entry.key_id) for entry in store.refusals] == [
        ("192.0.2.9", "unknown, 3 times", None)
    ]
    assert await authenticator.recorder.flush()
    assert len(store.touched) == 1


async def test_uses_that_could_not_be_written_are_written_later(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    authenticator.touch(7)
    store.failure = AWAY
    assert not await authenticator.recorder.flush()
    store.failure = None
    clock.advance(2)
    assert await authenticator.recorder.flush()
    assert store.touched == [({7}, clock.now)]


async def test_uses_that_can_not_be_written_keep_nobody_out(authenticator: Authenticator, store: FakeKeyStore) -> None:
    """A login that may only read, a full disk: keys are checked as ever, and the status says what is amiss."""
    authenticator.touch(7)
    store.failure = PermissionDenied("the key database refuses (229)", "The UPDATE permission was denied")
    assert not await authenticator.recorder.flush()
    store.failure = None
    assert isinstance(await authenticator.authenticate(KEY, None), Granted)
    assert authenticator.status().problem is None
    assert "UPDATE" in (authenticator.status().writing_problem or "")
    assert await authenticator.recorder.flush()
    assert authenticator.status().writing_problem is None


async def test_key_that_only_holds_connections_counts_as_used_every_hour(
    authenticator: Authenticator, store: FakeKeyStore, clock: VirtualClock
) -> None:
    store.keys[KEY] = record(last_used_at=(clock.now - timedelta(minutes=59)).isoformat())
    await authenticator.check([1])
    await authenticator.recorder.flush()
    assert store.touched == []
    clock.advance(120)
    await authenticator.check([1])
    await authenticator.recorder.flush()
    assert store.touched == [({1}, clock.now)]


async def test_close_writes_what_waits_and_closes_the_store(authenticator: Authenticator, store: FakeKeyStore) -> None:
    authenticator.touch(7)
    await authenticator.close()
    assert store.touched[0][0] == {7}
    assert store.is_closed
    assert isinstance(await authenticator.authenticate(KEY, None), Unavailable)


async def test_bug_in_the_store_lets_nobody_in_and_is_logged_without_the_key(
    authenticator: Authenticator, store: FakeKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.failure = ZeroDivisionError("our own bug")
    assert await authenticator.authenticate(KEY, None) == Unavailable("an internal error")
    captured = capsys.readouterr()
    assert "ZeroDivisionError" in captured.out + captured.err
    assert KEY not in captured.out + captured.err


async def test_no_key_is_kept_in_memory_after_the_answer(authenticator: Authenticator) -> None:
    await authenticator.authenticate(KEY, None)
    assert KEY not in repr(vars(authenticator._cache))
    assert len(authenticator._lookups) == 0


async def test_key_whose_text_was_replaced_in_its_row_is_asked_for_anew_while_connections_of_it_live(
    authenticator: Authenticator, store: FakeKeyStore
) -> None:
    presented = Fingerprint(sha256(KEY.encode()).digest())
    store.keys[KEY] = msgspec.structs.replace(record(), fingerprint=presented)
    assert isinstance(await authenticator.authenticate(KEY, None), Granted)
    other = Fingerprint(sha256(OTHER_KEY.encode()).digest())
    del store.keys[KEY]
    store.keys[OTHER_KEY] = msgspec.structs.replace(record(), fingerprint=other)
    await authenticator.check([1])
    assert authenticator.cached(KEY, None) is None
    assert isinstance(await authenticator.authenticate(KEY, None), Refused)
