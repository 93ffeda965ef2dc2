"""A damaged or edited row is reported, and never revives an ended key."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from support.virtual_clock import VirtualClock
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.keys.audit import Actor
from swim_server.keys.bulk import import_keys
from swim_server.keys.format import Tier
from swim_server.keys.importing import parse_keys
from swim_server.keys.new_key import NewKey
from swim_server.keys.permissions import refusal
from swim_server.keys.store import KeyStore
from swim_server.sql.errors import StoreMisconfigured
from swim_server.sql.sqlite import open_sqlite

ACTOR = Actor("ada@tower")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "swim.db"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 11, 27, tzinfo=UTC))


@pytest.fixture
def store(path: Path, clock: VirtualClock) -> Iterator[KeyStore]:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=clock, randbytes=secrets.token_bytes)
    yield store
    store.close()


def make(store: KeyStore, **more: Any) -> tuple[int, str]:
    issued = store.create(NewKey(tier=Tier.DEVELOPER, owner_name="Ada", **more), ACTOR)
    return issued.record.id, issued.api_key


def by_hand(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def is_good(store: KeyStore, api_key: str, clock: VirtualClock) -> bool:
    record = store.find(api_key)
    return record is not None and refusal(record, clock.now) is None


def test_our_own_changes_seal_what_they_write(store: KeyStore, clock: VirtualClock) -> None:
    key_id, api_key = make(store, expires_at=clock.now + timedelta(days=5))
    store.expire(key_id, clock.now + timedelta(days=9), ACTOR)
    store.rotate(key_id, timedelta(hours=1), ACTOR)
    store.touch([key_id], clock.now)
    import_keys(
        store, parse_keys('[{"api_key": "swim_dev_hp_test", "tier": "developer", "owner_name": "x"}]'), ACTOR, clock.now
    )
    assert not any(record.is_altered for record in store.list())
    assert is_good(store, api_key, clock)


def test_a_key_that_has_expired_by_itself_stays_so_whatever_its_row_says_now(
    store: KeyStore, path: Path, clock: VirtualClock
) -> None:
    key_id, api_key = make(store, expires_at=clock.now + timedelta(hours=1))
    clock.wall_ms += 2 * 3_600_000
    assert not is_good(store, api_key, clock)
    by_hand(path, f"UPDATE swim_api_keys SET expires_at = NULL WHERE id = {key_id}")
    assert not is_good(store, api_key, clock), "its audit trail only tells that it was created"
    assert store.get(key_id).is_altered
    store.accept(key_id, ACTOR)
    assert is_good(store, api_key, clock)


@pytest.mark.parametrize("change", ["is_active = 1", "expires_at = NULL", "is_active = 1, tier = 'system'"])
@pytest.mark.parametrize("end", ["revoke", "expire", "rotate"])
def test_a_key_that_was_ended_is_not_made_good_by_its_row(
    store: KeyStore, path: Path, clock: VirtualClock, end: str, change: str
) -> None:
    key_id, api_key = make(store)
    match end:
        case "revoke":
            store.revoke(key_id, "leaked", ACTOR)
        case "expire":
            store.expire(key_id, clock.now, ACTOR)
        case _:
            store.rotate(key_id, timedelta(minutes=1), ACTOR)
    clock.advance(3600)
    assert not is_good(store, api_key, clock)
    by_hand(path, f"UPDATE swim_api_keys SET is_active = 1, expires_at = NULL, {change} WHERE id = {key_id}")
    assert not is_good(store, api_key, clock)
    assert store.get(key_id).is_altered


def test_a_row_changed_by_hand_is_told_and_believed_where_no_end_is_known(
    store: KeyStore, path: Path, clock: VirtualClock
) -> None:
    key_id, api_key = make(store)
    by_hand(path, f"UPDATE swim_api_keys SET tier = 'partner' WHERE id = {key_id}")
    record = store.find(api_key)
    assert record is not None
    assert (record.tier, record.is_altered, record.is_active) == (Tier.PARTNER, True, True)
    by_hand(path, f"UPDATE swim_api_keys SET is_active = 0 WHERE id = {key_id}")
    assert not is_good(store, api_key, clock), "what is ended by hand is ended"


def test_accepting_a_row_seals_it_as_it_is(store: KeyStore, path: Path, clock: VirtualClock) -> None:
    key_id, api_key = make(store)
    store.revoke(key_id, None, ACTOR)
    by_hand(path, f"UPDATE swim_api_keys SET is_active = 1 WHERE id = {key_id}")
    assert not is_good(store, api_key, clock)
    store.accept(key_id, ACTOR)
    assert is_good(store, api_key, clock)
    assert not store.get(key_id).is_altered
    assert store.audit(key_id)[0].action == "accept"


def test_a_row_of_an_earlier_version_has_no_seal_and_is_accepted(
    store: KeyStore, path: Path, clock: VirtualClock
) -> None:
    key_id, api_key = make(store)
    by_hand(path, "DROP TABLE swim_key_seals")
    assert is_good(store, api_key, clock)
    assert not store.get(key_id).is_altered
    store.expire(key_id, clock.now + timedelta(days=1), ACTOR)
    assert is_good(store, api_key, clock)


def test_no_flipped_bit_of_the_file_makes_a_revoked_key_good(store: KeyStore, path: Path, clock: VirtualClock) -> None:
    keys = [make(store) for _ in range(3)]
    for key_id, _ in keys[:2]:
        store.revoke(key_id, None, ACTOR)
    store.close()
    content = path.read_bytes()
    places = [at for at in range(4096, len(content)) if content[at]][:: max(1, len(content) // 30_000)]
    good_again = []
    for at in places[:: max(1, len(places) // 250)]:
        rotten = bytearray(content)
        rotten[at] ^= 1 << at % 8
        path.write_bytes(rotten)
        anew = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=clock, randbytes=secrets.token_bytes)
        try:
            good_again += [at for _, api_key in keys[:2] if is_good(anew, api_key, clock)]
        except Exception:  # noqa: BLE001 - damaged: nobody is let in
            continue
        finally:
            anew.close()
    assert good_again == []


@pytest.mark.parametrize("is_revoked", [True, False])
def test_a_damaged_index_gives_no_key_the_rights_of_another(
    store: KeyStore, path: Path, clock: VirtualClock, *, is_revoked: bool
) -> None:
    keys = [make(store) for _ in range(3)]
    key_id, api_key = keys[2]
    if is_revoked:
        store.revoke(key_id, None, ACTOR)
    store.close()
    with sqlite3.connect(path) as connection:
        (stored,) = connection.execute("SELECT api_key FROM swim_api_keys WHERE id = ?", (key_id,)).fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    ends = [found.end() for found in re.finditer(re.escape(stored.encode()), content)]
    places = [at for at in ends if content[at] == key_id]
    assert places
    for at in places:
        content[at] = 2  # the index now leads to the second key's row
    path.write_bytes(content)
    anew = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=clock, randbytes=secrets.token_bytes)
    assert not is_good(anew, api_key, clock)
    both = anew.find_many([api_key, keys[1][1]])
    assert [both[key].is_active for key in (api_key, keys[1][1])] == [False, True]
    assert not both[keys[1][1]].is_altered, "the other key is as it was"
    anew.close()


@pytest.mark.parametrize("end", ["expire", "rotate"])
def test_a_key_that_was_ended_stays_so_when_the_clock_is_set_back(
    store: KeyStore, clock: VirtualClock, end: str
) -> None:
    key_id, api_key = make(store)
    if end == "expire":
        store.expire(key_id, clock.now, ACTOR)
    else:
        store.rotate(key_id, timedelta(0), ACTOR)
    clock.wall_ms -= 3_600_000
    assert not is_good(store, api_key, clock)
    store.expire(key_id, clock.now + timedelta(hours=2), ACTOR)
    assert is_good(store, api_key, clock), "somebody has said so since"


# An older copy of the file, put back: what it says of a key that was ended since is not believed.


def put_back_older(store: KeyStore, path: Path, older: bytes) -> KeyStore:
    store.close()
    path.write_bytes(older)
    return KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)


def test_a_key_that_was_ended_stays_so_when_an_older_key_database_is_put_back(path: Path) -> None:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    (revoked, revoked_key), (expired, expired_key), (_, good_key) = make(store), make(store), make(store)
    _, rotated_key = make(store)
    older = path.read_bytes()
    store.revoke(revoked, None, ACTOR)
    store.expire(expired, datetime.now(UTC), ACTOR)
    store.rotate(4, timedelta(0), ACTOR)
    store = put_back_older(store, path, older)
    keys = (revoked_key, expired_key, rotated_key, good_key)
    found = [store.find(each) for each in keys]
    assert [record is not None and record.is_active for record in found] == [False, False, False, True]
    assert [record is not None and record.is_altered for record in found] == [True, True, True, False]
    store.accept(revoked, ACTOR)
    assert [(record := store.find(each)) is not None and record.is_active for each in keys] == [
        True,
        False,
        False,
        True,
    ]
    store.close()


def test_a_key_that_is_prolonged_is_good_again(path: Path) -> None:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    key_id, api_key = make(store)
    store.expire(key_id, datetime.now(UTC), ACTOR)
    store.expire(key_id, None, ACTOR)
    record = store.find(api_key)
    assert record is not None and record.is_active and not record.is_altered
    store.close()


def test_keys_that_a_version_without_the_file_has_ended_are_put_down_with_the_first_change(path: Path) -> None:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    key_id, api_key = make(store)
    older = path.read_bytes()
    store.revoke(key_id, None, ACTOR)
    path.with_suffix(".ended").unlink()
    make(store)
    store = put_back_older(store, path, older)
    record = store.find(api_key)
    assert record is not None and not record.is_active
    store.close()


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe garbage\n", b"0" * 5000])
def test_a_damaged_file_of_endings_ends_no_key_and_takes_what_comes(path: Path, damage: bytes) -> None:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    (_, good_key), (ended, ended_key) = make(store), make(store)
    older = path.read_bytes()
    path.with_suffix(".ended").write_bytes(damage)
    store.revoke(ended, None, ACTOR)
    store = put_back_older(store, path, older)
    records = store.find(good_key), store.find(ended_key)
    assert [record is not None and record.is_active for record in records] == [True, False]
    store.close()


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_key_database_that_is_gone_is_not_begun_anew_where_keys_were_made(path: Path, is_gone: bool) -> None:
    store = KeyStore(open_sqlite(make_url(f"sqlite:///{path}")), clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
    _, api_key = make(store)
    whole = path.read_bytes()
    store = put_back_older(store, path, b"")
    if is_gone:
        path.unlink()
    with pytest.raises(StoreMisconfigured, match="gone or empty"):
        store.find(api_key)
    store = put_back_older(store, path, whole)
    assert store.find(api_key) is not None
    store.close()
