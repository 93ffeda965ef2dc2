"""What a key's row allows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from support.virtual_clock import START
from swim_server.keys.format import Tier
from swim_server.keys.permissions import is_within, publish_refusal, refusal, state_of, still_holds
from swim_server.keys.records import Fingerprint, KeyRecord


def record(**more: object) -> KeyRecord:
    fields = {"id": 1, "hint": "…", "tier": Tier.SYSTEM, "owner_name": "Ada"} | more
    return msgspec.convert(fields, KeyRecord)


@pytest.mark.parametrize(
    ("seconds", "is_active", "state"),
    [
        (None, True, "active"),
        (14 * 86_400 + 1, True, "active"),
        (14 * 86_400, True, "expiring"),
        (1, True, "expiring"),
        (0, True, "expired"),
        (-1, True, "expired"),
        (-1, False, "revoked"),
        (None, False, "revoked"),
    ],
)
def test_state_follows_the_clock_and_revocation_comes_first(seconds: int | None, is_active: bool, state: str) -> None:
    expires_at = None if seconds is None else START + timedelta(seconds=seconds)
    assert state_of(record(expires_at=expires_at, is_active=is_active), START) == state


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (None, "unknown"),
        (record(is_active=False), "inactive"),
        (record(expires_at=START), "expired"),
        (record(unknown_tier="gold"), "tier"),
        (record(tier=Tier.PUBLIC), "tier_changed"),
        (record(ip_whitelist=["10.0.0.0/8"]), "address"),
        (record(), None),
    ],
)
def test_live_connection_is_judged_by_what_the_table_says_now(now: KeyRecord | None, reason: str | None) -> None:
    refused = still_holds(now, Tier.SYSTEM, START, "192.0.2.1")
    assert (refused.reason if refused else None) == reason


def test_key_that_is_both_revoked_and_of_another_tier_is_revoked() -> None:
    refused = still_holds(record(is_active=False, tier=Tier.PUBLIC), Tier.SYSTEM, START)
    assert refused is not None
    assert refused.reason == "inactive"


def test_good_key_has_no_refusal() -> None:
    assert refusal(record(), START) is None


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("192.0.2.1", ("192.0.2.0/24",), True),
        ("192.0.2.1", ("192.0.2.1",), True),
        ("192.0.2.1", ("192.0.2.7/24",), True),
        ("192.0.3.1", ("192.0.2.0/24", "::/0"), False),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), True),
        ("2001:db8::5", ("2001:db8::/32",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("192.0.2.1", ("unreadable", ""), False),
        ("unknown", ("0.0.0.0/0",), False),
        ("192.0.2.1", (), False),
    ],
)
def test_address_is_within_its_networks(address: str, networks: tuple[str, ...], expected: bool) -> None:
    assert is_within(address, networks) is expected


@pytest.mark.parametrize(
    ("key", "data", "may"),
    [
        ({}, {}, True),
        ({"tier": "partner"}, {}, False),
        ({"tier": "partner", "can_write": True}, {}, False),
        ({"can_write": False}, {}, False),
        ({"can_write": True}, {}, True),
        ({"allowed_sources": ["vnas"]}, {"source": "vnas"}, True),
        ({"allowed_sources": ["vnas"]}, {"source": "crc"}, False),
        ({"allowed_sources": ["vnas"]}, {}, False),
        ({"allowed_sources": ["vnas"], "source_id": "vnas"}, {}, True),
        ({"allowed_sources": ["vnas"], "source_id": "vnas"}, {"source": ["vnas"]}, False),
        ({"allowed_sources": ["vnas"]}, {"source": {}}, False),
    ],
)
def test_publishing_needs_the_tier_the_right_and_the_source(
    key: dict[str, Any], data: dict[str, Any], may: bool
) -> None:
    assert (publish_refusal(record(**key), data) is None) is may


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("127.0.0.1", ("::ffff:127.0.0.1",), True),
        ("10.1.2.3", ("::ffff:10.0.0.0/104",), True),
        ("11.1.2.3", ("::ffff:10.0.0.0/104",), False),
        ("::ffff:127.0.0.1", ("127.0.0.1",), True),
        ("::ffff:127.0.0.1", ("::ffff:127.0.0.1",), True),
        ("2001:db8::1", ("::ffff:127.0.0.1",), False),
    ],
)
def test_mapped_address_in_a_list_is_the_same_address(address: str, networks: tuple[str, ...], expected: bool) -> None:
    assert is_within(address, networks) is expected


def test_row_that_has_got_the_text_of_another_key_is_no_longer_that_keys() -> None:
    row = msgspec.structs.replace(record(), fingerprint=Fingerprint(b"new"))
    refused = still_holds(row, Tier.SYSTEM, START, presented=Fingerprint(b"old"))
    assert refused is not None
    assert refused.reason == "unknown"
    assert still_holds(row, Tier.SYSTEM, START, presented=Fingerprint(b"new")) is None
    assert "new" not in repr(row)
