"""Temporary keys: valid for a while, limited, and without a trace in the database."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from datetime import datetime

import pytest
from support.virtual_clock import VirtualClock
from swim_server.keys.audit import Actor, AuditEntry
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.format import KeyShape, Tier, classify, generate
from swim_server.keys.probes import MAX_KEYS, Probes, is_probe_id
from swim_server.keys.records import Granted, KeyRecord, Refused


class Table:
    """A store that notes what it is asked and told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.asked: list[object] = []

    def find_many(self, api_keys_presented: Sequence[str]) -> dict[str, KeyRecord]:
        self.asked.append(list(api_keys_presented))
        return {}

    def records(self, key_ids: Iterable[int]) -> dict[int, KeyRecord]:
        self.asked.append(set(key_ids))
        return {}

    def touch(self, key_ids: Iterable[int], at: datetime) -> None:
        self.told.append(set(key_ids))

    def log_refusals(self, entries: Sequence[AuditEntry]) -> None:
        self.told.append(list(entries))

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord:
        raise AssertionError(f"key {key_id} is in no database")

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord:
        raise AssertionError(f"key {key_id} is in no database")

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def probes(clock: VirtualClock) -> Probes:
    return Probes(clock=clock, randbytes=os.urandom)


def digest(api_key: str) -> bytes:
    return hashlib.sha256(api_key.encode()).digest()


def test_key_is_of_our_own_shape_and_of_its_tier(probes: Probes) -> None:
    ((key_id, api_key),) = probes.make(Tier.PARTNER, 1, 10)
    assert (classify(api_key), is_probe_id(key_id)) == (KeyShape.OWN, True)
    record = probes.find(digest(api_key))
    assert record is not None
    assert (record.tier, record.id) == (Tier.PARTNER, key_id)


@pytest.mark.parametrize("count", [0, -1, MAX_KEYS + 1])
def test_no_more_than_the_most_are_made(probes: Probes, count: int) -> None:
    with pytest.raises(ValueError, match="temporary"):
        probes.make(Tier.PUBLIC, count, 10)
    assert len(probes) == 0


def test_expired_ones_make_room(probes: Probes, clock: VirtualClock) -> None:
    probes.make(Tier.PUBLIC, MAX_KEYS, 10)
    clock.advance(10)
    probes.make(Tier.PUBLIC, MAX_KEYS, 10)
    assert len(probes) == MAX_KEYS


def test_ended_key_is_not_found(probes: Probes) -> None:
    ((key_id, api_key),) = probes.make(Tier.PUBLIC, 1, 10)
    probes.end([key_id, key_id])
    assert (probes.find(digest(api_key)), probes.record(key_id)) == (None, None)


def test_ids_of_the_database_are_none_of_these() -> None:
    assert not any(is_probe_id(key_id) for key_id in (-1, 0, 1, 2**31))


def test_announced_key_is_known_until_its_time_is_over(probes: Probes, clock: VirtualClock) -> None:
    probes.announce(digest("swim_dev_x"), 30)
    assert probes.is_announced("swim_dev_x")
    assert not probes.is_announced("swim_dev_y")
    assert not probes.is_announced(None)
    clock.advance(31)
    assert not probes.is_announced("swim_dev_x")


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def authenticator(table: Table, clock: VirtualClock) -> Authenticator:
    return Authenticator(table, clock=clock)


async def test_temporary_key_is_granted_and_leaves_no_trace(authenticator: Authenticator, table: Table) -> None:
    ((key_id, api_key),) = authenticator.probes.make(Tier.DEVELOPER, 1, 10)
    decision = authenticator.cached(api_key, "192.0.2.1")
    assert isinstance(decision, Granted)
    authenticator.touch(key_id)
    authenticator.note_refusal(Refused("full", "limit", key_id), "192.0.2.1")
    assert await authenticator.check([key_id]) == {key_id: decision.key}
    await authenticator.recorder.flush()
    assert (table.told, table.asked) == ([], [])
    await authenticator.close()


async def test_temporary_key_that_has_expired_is_refused(authenticator: Authenticator, clock: VirtualClock) -> None:
    ((_, api_key),) = authenticator.probes.make(Tier.DEVELOPER, 1, 10)
    clock.advance(10)
    assert isinstance(authenticator.cached(api_key, None), Refused)
    await authenticator.close()


async def test_ended_key_that_holds_a_connection_is_gone_at_the_recheck(authenticator: Authenticator) -> None:
    ((key_id, _),) = authenticator.probes.make(Tier.DEVELOPER, 1, 10)
    authenticator.probes.end([key_id])
    assert await authenticator.check([key_id]) == {key_id: None}
    await authenticator.close()


async def test_announced_key_is_asked_of_the_table_like_any_other_and_not_audited(
    authenticator: Authenticator, table: Table
) -> None:
    api_key = generate(Tier.DEVELOPER, os.urandom)
    authenticator.probes.announce(digest(api_key), 30)
    assert isinstance(await authenticator.authenticate(api_key, "192.0.2.1"), Refused)
    assert table.asked == [[api_key]]
    await authenticator.recorder.flush()
    assert table.told == []
    await authenticator.close()
