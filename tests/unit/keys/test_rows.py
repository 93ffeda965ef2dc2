"""Rows as records: lists that others wrote, tiers, hints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.keys.format import Tier, digest
from swim_server.keys.rows import format_list, parse_list, record_of


def row(**more: Any) -> dict[str, Any]:
    needed = {
        "id": 1,
        "api_key": digest("x"),
        "tier": "system",
        "owner_name": "Ada",
        "expires_at": None,
        "is_active": True,
    }
    return needed | more


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("null", None),
        ("[]", None),
        ('["10.0.0.0/8", " ::1 "]', ("10.0.0.0/8", "::1")),
        ('"10.0.0.1"', ("10.0.0.1",)),
        ("10.0.0.1, 10.0.0.2", ("10.0.0.1", "10.0.0.2")),
        ("{}", ("unreadable",)),
        ("7", ("unreadable",)),
        ("false", ("unreadable",)),
        ("[7, null]", ("unreadable", "unreadable")),
        (",", ("unreadable",)),
        ("[broken", ("[broken",)),
        (b"10.0.0.1", ("unreadable",)),
    ],
)
def test_list_that_cannot_be_read_stays_a_restriction(
    text: str | bytes | None, expected: tuple[str, ...] | None
) -> None:
    assert parse_list(text) == expected


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=1))
def test_list_comes_back_as_it_was_written(values: list[str]) -> None:
    assert parse_list(format_list(tuple(values))) == tuple(values)


@pytest.mark.parametrize(
    ("written", "tier"), [("system", Tier.SYSTEM), (" Developer ", Tier.DEVELOPER), ("PUBLIC", Tier.PUBLIC)]
)
def test_tier_is_read_in_any_case(written: str, tier: Tier) -> None:
    record = record_of(row(tier=written))
    assert (record.tier, record.unknown_tier) == (tier, None)


@pytest.mark.parametrize("written", ["gold", "", None])
def test_other_tier_is_the_least_one_and_told(written: str | None) -> None:
    record = record_of(row(tier=written))
    assert (record.tier, record.unknown_tier) == (Tier.PUBLIC, written or "")


def test_record_never_holds_the_key_itself() -> None:
    assert "swim_dev_hp_test" not in repr(record_of(row(api_key="swim_dev_hp_test")))


def test_row_with_a_digest_and_no_hint_shows_its_tier() -> None:
    assert record_of(row()).hint == "swim_sys_…"
    assert record_of(row(key_hint="swim_sys_…x9Qz")).hint == "swim_sys_…x9Qz"


def test_activity_that_is_not_known_is_none() -> None:
    assert record_of(row(is_active=None)).is_active is False


def test_hardened_row_is_about_the_same_key_as_the_plain_one() -> None:
    row = {"id": 1, "tier": "public", "owner_name": "Ada", "expires_at": None, "is_active": True}
    plain, hashed = record_of(row | {"api_key": "former-key"}), record_of(row | {"api_key": digest("former-key")})
    other = record_of(row | {"api_key": "another-key"})
    assert plain.fingerprint == hashed.fingerprint
    assert plain.fingerprint != other.fingerprint
