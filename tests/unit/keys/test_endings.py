"""A key can be ended while the database can't store it: at once in memory, later in the table."""

from __future__ import annotations

import pytest
from support.fake_key_store import FakeKeyStore
from support.virtual_clock import VirtualClock
from swim_server.keys.audit import Actor
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.format import Tier, generate
from swim_server.keys.records import Granted, KeyRecord, Refused
from swim_server.keys.write_behind.endings import Ending
from swim_server.sql.errors import StoreUnavailable

API_KEY = generate(Tier.DEVELOPER, lambda count: bytes(range(count)))


@pytest.mark.parametrize("is_for_good", [True, False])
async def test_an_ended_key_is_refused_at_once_and_stored_when_it_can_be(is_for_good: bool) -> None:
    clock, store = VirtualClock(), FakeKeyStore()
    store.keys[API_KEY] = KeyRecord(id=7, hint="…", tier=Tier.DEVELOPER, owner_name="Ada")
    authenticator = Authenticator(store, clock=clock)
    assert isinstance(await authenticator.authenticate(API_KEY, None), Granted)
    store.failure = StoreUnavailable("database or disk is full")
    ending = Ending(7, is_for_good, clock.now, Actor("ada@tower"))
    assert not await authenticator.recorder.end(ending)
    assert authenticator.status().not_stored == [7]
    store.failure = None
    store.keys[API_KEY] = KeyRecord(id=7, hint="…", tier=Tier.DEVELOPER, owner_name="Ada")
    refused = await authenticator.authenticate(API_KEY, None)
    assert isinstance(refused, Refused), "the table still says that it is good"
    assert (await authenticator.check([7]))[7] != store.keys[API_KEY]
    assert await authenticator.recorder.end(ending)
    assert authenticator.status().not_stored == []
    stored = store.keys[API_KEY]
    assert stored.is_active is not is_for_good or stored.expires_at is not None
    clock.advance(1)
    authenticator.forget_all()
    assert isinstance(await authenticator.authenticate(API_KEY, None), Refused)
    await authenticator.close()
