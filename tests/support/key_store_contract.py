"""What every key store must do on any database. A test module inherits it and provides ``store``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update
from support.virtual_clock import VirtualClock
from swim_server.keys.audit import Actor, AuditEntry
from swim_server.keys.bulk import harden, import_keys, plain_keys
from swim_server.keys.errors import InvalidKeyField, KeyNotFound, KeyUnusable
from swim_server.keys.format import Tier, classify, digest
from swim_server.keys.importing import parse_keys
from swim_server.keys.new_key import NewKey
from swim_server.keys.permissions import KeyState
from swim_server.keys.schema import Schema
from swim_server.keys.store import KeyStore
from swim_server.keys.tables import api_keys, audit_log

OPERATOR = Actor("ada@tower", "203.0.113.7")
DAY = timedelta(days=1)


def new_key(**more: Any) -> NewKey:
    fields: dict[str, Any] = {"tier": Tier.DEVELOPER, "owner_name": "Ada"}
    return NewKey(**(fields | more))


def insert_plain(store: KeyStore, api_key: str, **more: object) -> int:
    """Insert a row as the former system wrote it."""
    values = {"api_key": api_key, "tier": "developer", "owner_name": "Old", "owner_email": "", "is_active": True} | more

    def work(connection: Connection, schema: Schema) -> Any:
        inserted = connection.execute(insert(api_keys).values(**values)).inserted_primary_key
        assert inserted is not None
        return inserted[0]

    return int(store.tables.change(work))


class KeyStoreContract:
    """The contract."""

    def test_created_key_is_found_by_itself_and_stored_as_digest(self, store: KeyStore) -> None:
        issued = store.create(new_key(), OPERATOR)
        assert classify(issued.api_key) == "own"
        assert store.find(issued.api_key) == issued.record
        rows = store.database.read(lambda c: c.execute(select(api_keys.c.api_key)).scalars().all())
        assert rows == [digest(issued.api_key)]

    def test_every_field_of_a_key_comes_back_as_it_was_given(self, store: KeyStore, clock: VirtualClock) -> None:
        wanted = new_key(
            tier=Tier.SYSTEM,
            owner_name="Łukasz «vATCSCC» 東京 🛫",
            owner_email="l@example.org",
            description="it's; DROP TABLE -- {}",
            expires_at=clock.now + 90 * DAY + timedelta(microseconds=123456),
            ip_whitelist=("192.0.2.0/24", "2001:db8::1"),
            allowed_sources=("simtraffic",),
            source_id="vatcscc",
            owner_cid=1234567,
        )
        record = store.get(store.create(wanted, OPERATOR).record.id)
        for field in wanted.__struct_fields__:
            expected = True if field == "can_write" else getattr(wanted, field)
            assert getattr(record, field) == expected, field
        assert record.created_at == clock.now
        assert record.is_active
        assert record.last_used_at is None

    @pytest.mark.parametrize("twist", [str.lower, str.upper, "{} ".format, " {}".format, "{}\0".format, "{}'".format])
    def test_key_that_is_not_exactly_the_one_is_not_found(self, store: KeyStore, twist: Callable[[str], str]) -> None:
        issued = store.create(new_key(), OPERATOR)
        insert_plain(store, "swim_dev_Hp_test")
        assert store.find(twist(issued.api_key)) is None
        assert store.find(twist("swim_dev_Hp_test")) is None

    def test_stored_digest_presented_as_a_key_is_not_found(self, store: KeyStore) -> None:
        issued = store.create(new_key(), OPERATOR)
        assert store.find(digest(issued.api_key)) is None

    @pytest.mark.parametrize("old_key", ["swim_dev_hp_test", "swim_0f8fad5b-d9cb-469f-a165-70867728950e"])
    def test_key_of_the_former_system_is_found_in_plain(self, store: KeyStore, old_key: str) -> None:
        key_id = insert_plain(store, old_key)
        found = store.find(old_key)
        assert found is not None
        assert (found.id, found.is_plaintext) == (key_id, True)

    def test_key_that_stands_twice_is_judged_by_the_row_that_does_not_hold(self, store: KeyStore) -> None:
        issued = store.create(new_key(), OPERATOR)
        plain = insert_plain(store, issued.api_key, is_active=False)
        found = store.find(issued.api_key)
        assert found is not None
        assert found.id == plain

    def test_unknown_tier_in_a_row_is_kept_apart(self, store: KeyStore) -> None:
        key_id = insert_plain(store, "swim_old_1", tier="platinum")
        assert store.get(key_id).unknown_tier == "platinum"
        assert store.list(tier=Tier.PUBLIC) == []

    def test_expire_sets_the_moment_and_takes_it_back(self, store: KeyStore, clock: VirtualClock) -> None:
        key_id = store.create(new_key(), OPERATOR).record.id
        assert store.expire(key_id, clock.now, OPERATOR).expires_at == clock.now
        assert store.expire(key_id, None, OPERATOR).expires_at is None

    def test_revoke_ends_a_key(self, store: KeyStore) -> None:
        issued = store.create(new_key(), OPERATOR)
        assert store.revoke(issued.record.id, "lost", OPERATOR).is_active is False
        found = store.find(issued.api_key)
        assert found is not None
        assert not found.is_active

    @pytest.mark.parametrize("change", ["get", "expire", "revoke", "rotate"])
    def test_change_of_a_key_that_does_not_exist_is_told(self, store: KeyStore, change: str) -> None:
        arguments = {"get": (), "expire": (None, OPERATOR), "revoke": (None, OPERATOR), "rotate": (DAY, OPERATOR)}
        with pytest.raises(KeyNotFound):
            getattr(store, change)(99, *arguments[change])
        assert store.audit() == []

    def test_rotate_makes_an_equal_key_and_ends_the_old_one_after_the_overlap(
        self, store: KeyStore, clock: VirtualClock
    ) -> None:
        old = store.create(new_key(expires_at=clock.now + 90 * DAY, ip_whitelist=("10.0.0.0/8",)), OPERATOR)
        clock.advance(10 * 86_400)
        new = store.rotate(old.record.id, DAY, OPERATOR)
        assert new.api_key != old.api_key
        assert new.record.expires_at == clock.now + 90 * DAY
        assert new.record.ip_whitelist == ("10.0.0.0/8",)
        assert store.get(old.record.id).expires_at == clock.now + DAY

    def test_rotate_never_lengthens_the_old_keys_life(self, store: KeyStore, clock: VirtualClock) -> None:
        old = store.create(new_key(expires_at=clock.now + timedelta(hours=1)), OPERATOR)
        store.rotate(old.record.id, DAY, OPERATOR)
        assert store.get(old.record.id).expires_at == clock.now + timedelta(hours=1)

    def test_rotate_of_an_ended_key_is_refused_and_changes_nothing(self, store: KeyStore) -> None:
        key_id = store.create(new_key(), OPERATOR).record.id
        before = store.revoke(key_id, None, OPERATOR)
        with pytest.raises(KeyUnusable, match="revoked"):
            store.rotate(key_id, DAY, OPERATOR)
        assert store.list() == [before]

    def test_list_filters_by_state_tier_and_owner(self, store: KeyStore, clock: VirtualClock) -> None:
        ids = {
            "active": store.create(new_key(), OPERATOR).record.id,
            "expiring": store.create(new_key(expires_at=clock.now + 5 * DAY), OPERATOR).record.id,
            "expired": store.create(new_key(expires_at=clock.now + 1 * DAY), OPERATOR).record.id,
            "revoked": store.create(new_key(tier=Tier.PARTNER, owner_name="vATCSCC"), OPERATOR).record.id,
        }
        store.revoke(ids["revoked"], None, OPERATOR)
        clock.advance(2 * 86_400)

        def found(**more: object) -> list[int]:
            return [record.id for record in store.list(**more)]  # type: ignore[arg-type]  # one filter each

        assert found() == sorted(ids.values())
        assert found(state=KeyState.ACTIVE) == [ids["active"], ids["expiring"]]
        assert found(state=KeyState.EXPIRING) == [ids["expiring"]]
        assert found(state=KeyState.EXPIRED) == [ids["expired"]]
        assert found(state=KeyState.REVOKED) == found(tier=Tier.PARTNER) == found(owner="atcs") == [ids["revoked"]]

    def test_records_reads_many_at_once_and_leaves_out_what_is_gone(self, store: KeyStore) -> None:
        ids = [store.create(new_key(), OPERATOR).record.id for _ in range(3)]
        assert store.records([ids[0], ids[2], 99]).keys() == {ids[0], ids[2]}
        assert store.records([*ids, *range(1_000, 4_000)]).keys() == set(ids)
        assert store.records([]) == {}

    def test_touch_writes_when_keys_were_used(self, store: KeyStore, clock: VirtualClock) -> None:
        ids = [store.create(new_key(), OPERATOR).record.id for _ in range(3)]
        store.touch(ids[:2], clock.now)
        assert [store.get(key_id).last_used_at for key_id in ids] == [clock.now, clock.now, None]
        store.touch([], clock.now)

    def test_each_change_leaves_a_line_and_no_key_in_the_audit_trail(
        self, store: KeyStore, clock: VirtualClock
    ) -> None:
        issued = store.create(new_key(), OPERATOR)
        key_id = issued.record.id
        successor = store.rotate(key_id, DAY, OPERATOR)
        store.expire(key_id, clock.now, OPERATOR)
        store.revoke(key_id, "found on a forum", OPERATOR)
        trail = store.audit(key_id)
        assert [entry.action for entry in trail] == ["revoke", "expire", "rotate", "create"]
        assert {(entry.actor, entry.origin, entry.at) for entry in trail} == {("ada@tower", "203.0.113.7", clock.now)}
        assert trail[0].detail == "found on a forum"
        rows = store.database.read(lambda c: [str(row) for row in c.execute(select(audit_log))])
        assert not [row for row in rows if issued.api_key in row or successor.api_key in row]

    def test_failed_change_leaves_no_line_in_the_audit_trail(self, store: KeyStore) -> None:
        def work(connection: Connection, schema: Schema) -> None:
            connection.execute(update(api_keys).values(owner_name="Eve"))
            raise KeyNotFound(1)

        record = store.create(new_key(), OPERATOR).record
        with pytest.raises(KeyNotFound):
            store.tables.change(work)
        assert store.get(record.id) == record

    def test_refusals_are_appended_and_cut_to_their_columns(self, store: KeyStore, clock: VirtualClock) -> None:
        entry = AuditEntry(
            at=clock.now, action="refuse", key_id=None, actor="client", origin="x" * 300, detail="unknown, 3 times"
        )
        store.log_refusals([entry, entry])
        assert [(line.action, line.detail) for line in store.audit()] == [("refuse", "unknown, 3 times")] * 2
        assert store.audit(limit=1)[0].origin == "x" * 44 + "…"

    def test_requests_that_the_former_system_logged_are_no_part_of_the_trail(
        self, store: KeyStore, clock: VirtualClock
    ) -> None:
        row = {"api_key_id": 1, "endpoint": "/flights", "method": "GET", "ip_address": "::1", "request_time": clock.now}
        store.tables.change(lambda connection, schema: connection.execute(insert(audit_log).values(**row)))
        assert store.audit() == []

    def test_import_stores_digests_once(self, store: KeyStore, clock: VirtualClock) -> None:
        keys = parse_keys("api_key,owner_name\nswim_dev_hp_test,HP\nswim_par_one,One\n")
        known = insert_plain(store, "swim_par_one")
        outcome = import_keys(store, keys, OPERATOR, clock.now)
        assert outcome.existing == [known]
        found = store.find("swim_dev_hp_test")
        assert found is not None
        assert [found.id] == outcome.imported
        assert not found.is_plaintext
        again = import_keys(store, keys, OPERATOR, clock.now)
        assert (again.imported, sorted(again.existing)) == ([], sorted([known, found.id]))

    def test_harden_hashes_plain_rows_and_they_stay_valid(self, store: KeyStore, clock: VirtualClock) -> None:
        ids = [insert_plain(store, "swim_dev_hp_test"), insert_plain(store, "swim_par_other")]
        issued = store.create(new_key(), OPERATOR)
        assert plain_keys(store) == ids
        assert harden(store, OPERATOR, clock.now) == ids
        assert plain_keys(store) == []
        for api_key in ("swim_dev_hp_test", "swim_par_other", issued.api_key):
            assert store.find(api_key) is not None
        assert store.audit(ids[0])[0].action == "harden"

    def test_harden_of_a_key_that_is_hashed_in_another_row_ends_the_plain_one(
        self, store: KeyStore, clock: VirtualClock
    ) -> None:
        issued = store.create(new_key(), OPERATOR)
        double = insert_plain(store, issued.api_key)
        harden(store, OPERATOR, clock.now)
        found = store.find(issued.api_key)
        assert found is not None
        assert found.id == issued.record.id
        assert not store.get(double).is_active

    @pytest.mark.parametrize(
        "wrong",
        [{"owner_name": " "}, {"owner_name": "x" * 101}, {"description": "a\nb"}, {"ip_whitelist": ("10.0.0.0/33",)}],
    )
    def test_create_with_a_value_that_no_row_can_hold_is_refused(
        self, store: KeyStore, wrong: dict[str, object]
    ) -> None:
        with pytest.raises(InvalidKeyField):
            store.create(new_key(**wrong), OPERATOR)
        assert store.list() == []

    def test_create_of_a_key_that_has_ended_already_is_refused(self, store: KeyStore, clock: VirtualClock) -> None:
        with pytest.raises(InvalidKeyField, match="future"):
            store.create(new_key(expires_at=clock.now), OPERATOR)
