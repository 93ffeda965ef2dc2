"""Keys that end while they have connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta

import msgspec
import pytest
from support.gateway_rig import Client, FakeAuthenticator, Log, Rig, key_record, upgrade_request
from support.virtual_clock import VirtualClock
from swim_server.daemon import key_watch as module
from swim_server.daemon.key_watch import KeyWatch
from swim_server.keys.format import Tier
from swim_server.keys.records import Granted, KeyRecord
from swim_server.sql.errors import StoreUnavailable


class Table(FakeAuthenticator):
    """An authenticator whose table the test changes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, KeyRecord] = {}
        self.checked: list[list[int]] = []
        self.forgotten: list[int] = []
        self.is_away = False

    def put(self, record: KeyRecord, name: str = "key") -> None:
        self.rows[record.id] = record
        self.keys[name] = Granted(record)

    async def check(self, key_ids: Iterable[int]) -> dict[int, KeyRecord | None]:
        asked = list(key_ids)
        self.checked.append(asked)
        if self.is_away:
            raise StoreUnavailable("the database is away")
        return {key_id: self.rows.get(key_id) for key_id in asked}

    def forget(self, key_id: int) -> None:
        self.forgotten.append(key_id)


class World:
    """A gateway, a table, a clock and the watch over them."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.table = Table()
        self.rig = Rig(authenticator=self.table)
        self.log = Log()
        self.watch = KeyWatch(
            self.rig.gateway,
            self.table,  # type: ignore[arg-type]  # only what the watch calls
            recheck_seconds=0.01,
            log=self.log,
            clock=self.clock,
        )

    def connect(self, **fields: object) -> Client:
        self.table.put(msgspec.structs.replace(key_record(7, Tier.DEVELOPER), **fields))
        return self.rig.admitted("key")

    def change(self, **fields: object) -> None:
        self.table.rows[7] = msgspec.structs.replace(self.table.rows[7], **fields)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "EXPIRY_LOOK_SECONDS", 0.01)
    world = World()
    yield world
    await world.rig.close()


async def _watched(world: World) -> None:
    """Let the watch look a few times."""
    task = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_active": False}, 4001),
        ({"tier": Tier.PUBLIC}, 1012),
        ({"unknown_tier": "gold"}, 4001),
    ],
)
async def test_key_that_no_longer_holds_closes_what_it_opened(
    world: World, change: dict[str, object], code: int
) -> None:
    client = world.connect()
    world.change(**change)
    assert await world.watch.recheck([7]) == 1
    assert client.close_code == code
    assert client.types == (["connected", "AUTH_FAILED"] if code == 4001 else ["connected"])
    assert world.log.of("connections closed")[0]["connections"] == 1


async def test_key_whose_row_is_gone_closes_what_it_opened(world: World) -> None:
    client = world.connect()
    world.table.rows.clear()
    assert await world.watch.recheck([7]) == 1
    assert client.close_code == 4001


async def test_key_that_holds_closes_nothing(world: World) -> None:
    client = world.connect()
    assert await world.watch.recheck([7]) == 0
    assert client.endpoint.is_open


async def test_address_that_the_key_no_longer_lists_is_closed_and_others_stay(world: World) -> None:
    client = world.connect()
    other = world.rig.client(("198.51.100.1", 5)).send(upgrade_request("/?key=key"))
    world.change(ip_whitelist=("192.0.2.0/24",))
    assert await world.watch.recheck([7]) == 1
    assert client.endpoint.is_open
    assert other.close_code == 4001
    assert world.log.of("connections closed")[0]["reason"] == "address"


async def test_nothing_is_asked_when_nobody_is_connected(world: World) -> None:
    assert await world.watch.recheck(world.rig.gateway.live_keys()) == 0
    assert world.table.checked == []


async def test_all_live_keys_are_asked_for_in_one_query(world: World) -> None:
    world.connect()
    for key_id in (8, 9):
        world.table.put(key_record(key_id, Tier.PUBLIC), f"key{key_id}")
        world.rig.admitted(f"key{key_id}")
        world.rig.admitted(f"key{key_id}")
    await world.watch.recheck(world.rig.gateway.live_keys())
    assert [sorted(asked) for asked in world.table.checked] == [[7, 8, 9]]


async def test_expiring_key_is_closed_at_its_time_without_the_table(world: World) -> None:
    client = world.connect(expires_at=world.clock.now + timedelta(seconds=60))
    world.table.is_away = True
    await _watched(world)
    assert client.endpoint.is_open
    world.clock.advance(60)
    await _watched(world)
    assert client.close_code == 4001
    assert 7 in world.table.forgotten


async def test_prolonged_key_does_not_end_at_its_old_date(world: World) -> None:
    client = world.connect(expires_at=world.clock.now + timedelta(seconds=60))
    world.change(expires_at=world.clock.now + timedelta(days=1))
    await world.watch.recheck([7])
    world.clock.advance(61)
    await _watched(world)
    assert client.endpoint.is_open
    world.clock.advance(86_400)
    await _watched(world)
    assert client.close_code == 4001


async def test_database_that_is_away_closes_nobody_and_is_told_once(world: World) -> None:
    client = world.connect()
    world.table.is_away = True
    await _watched(world)
    assert len(world.table.checked) > 1
    assert client.endpoint.is_open
    assert world.watch.last_recheck_error is not None
    assert len(world.log.of("live keys can't be re-checked")) == 1
    world.table.is_away = False
    world.change(is_active=False)
    await _watched(world)
    assert world.watch.last_recheck_error is None
    assert client.close_code == 4001


async def test_key_without_a_connection_is_not_asked_about(world: World) -> None:
    """Else the table would believe that it is in use."""
    assert await world.watch.recheck([7]) == 0
    assert world.table.checked == []


async def test_connections_that_a_recheck_closed_first_are_counted_too(world: World) -> None:
    clients = [world.connect(), world.rig.admitted("key")]
    world.change(is_active=False)
    await world.watch.recheck([7])
    assert [client.close_code for client in clients] == [4001, 4001]
    assert await world.watch.key_changed(7, seconds=60) == 2
    world.clock.advance(0.1)
    assert await world.watch.key_changed(7) == 0


async def test_connections_closed_by_two_at_once_are_counted_once(world: World) -> None:
    clients = [world.connect(), *(world.rig.admitted("key") for _ in range(9))]
    world.change(is_active=False)
    found, _ = await asyncio.gather(world.watch.key_changed(7, seconds=60), world.watch.recheck([7]))
    assert [client.close_code for client in clients] == [4001] * 10
    assert found == 10


async def test_connections_of_two_tiers_are_judged_each_by_its_own(world: World) -> None:
    """One came before the key's tier was changed, the other one after."""
    before = world.connect()
    world.change(tier=Tier.PARTNER)
    world.table.keys["key"] = Granted(world.table.rows[7])
    after = world.rig.admitted("key")
    assert await world.watch.recheck([7]) == 1
    assert (before.close_code, after.endpoint.is_open) == (1012, True)
