"""Keys read from files: CSV, JSON, and every error in either."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seeded_bytes import SeededBytes
from swim_server.keys.format import Tier, digest, generate
from swim_server.keys.importing import InvalidImport, parse_keys

KEY = generate(Tier.PARTNER, SeededBytes(1))


def test_csv_with_a_heading_is_read() -> None:
    text = (
        "api_key,tier,owner_name,owner_email,expires_at,is_active,ip_whitelist,can_write,owner_cid\n"
        'swim_dev_hp_test,Developer,"HP, Inc.",hp@x,2027-01-31,1,"[""10.0.0.0/8""]",0,1234567\n'
        f"{KEY},,Two,,2027-01-31T12:00:00Z,no,10.0.0.1,,\n"
    )
    first, second = parse_keys(text)
    assert first.stored == digest("swim_dev_hp_test")
    assert (first.new_key.tier, first.new_key.owner_name) == (Tier.DEVELOPER, "HP, Inc.")
    assert first.new_key.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
    assert first.new_key.ip_whitelist == ("10.0.0.0/8",)
    assert (first.new_key.can_write, first.new_key.owner_cid, first.is_active) == (False, 1234567, True)
    assert (second.new_key.tier, second.is_active, second.new_key.ip_whitelist) == (Tier.PARTNER, False, ("10.0.0.1",))


def test_json_list_and_export_are_read() -> None:
    entry = (
        '{"key": "swim_dev_hp_test", "owner": "HP", "allowed_sources": ["vnas"], "created_at": "2025-01-01T00:00:00Z"}'
    )
    for text in (f"[{entry}]", f'{{"keys": [{entry}]}}'):
        (key,) = parse_keys(text)
        assert key.new_key.allowed_sources == ("vnas",)
        assert key.created_at == datetime(2025, 1, 1, tzinfo=UTC)


def test_stored_form_of_a_key_is_taken_over() -> None:
    (key,) = parse_keys(f"api_key,tier,owner_name\n{digest(KEY)},partner,x")
    assert (key.stored, key.plain) == (digest(KEY), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("[", "not JSON"),
        ("[1]", "list of objects"),
        pytest.param("[" * 100_000, "not so deeply nested", id="deeply nested"),
        ("owner_name\n", "line 1: no column api_key"),
        ("swim_dev_x,developer\n", "line 1: no column api_key"),
        ('[{"api_key": "swim_dev_x", "owner_name": "x", "owner_cid": 1e999}]', "owner_cid: must be a whole number"),
        ('{"a": 1}', "list of objects"),
        ("owner_name,api_key\nx,", "line 2: api_key: must be there"),
        ("api_key,owner_name\nhas blank,x", "line 2: api_key: must be printable"),
        (f"api_key,owner_name\n{KEY[:9]}{KEY[9:].swapcase()},x", "this one is mistyped"),
        ("api_key,owner_name\nsha256$short,x", "stored form of another length"),
        ("api_key,owner_name\nsomething,x", "tier: must be one of public, developer, partner, system"),
        ("api_key,owner_name,tier\nsomething,x,gold", "got 'gold'"),
        ("api_key,owner_name\nswim_dev_x,", "owner: must name"),
        ("api_key,owner_name,colour\nswim_dev_x,x,red", "columns: must be columns of swim_api_keys, got 'colour'"),
        ("api_key,owner_name\nswim_dev_x,x,y", "more values than the header"),
        ("api_key,owner_name,expires_at\nswim_dev_x,x,soon", "expires_at: must be a date"),
        ("api_key,owner_name,is_active\nswim_dev_x,x,perhaps", "is_active: must be 1 or 0"),
        ("api_key,owner_name,owner_cid\nswim_dev_x,x,y", "owner_cid: must be a whole number"),
        ("api_key,owner_name,ip_whitelist\nswim_dev_x,x,here", "allow-ip: must be an address"),
        ("api_key,owner_name\nswim_dev_x,x\nswim_dev_x,y", "line 3: the same key as line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(InvalidImport, match=expected):
        parse_keys(text)


def test_all_problems_are_told_at_once_and_no_key() -> None:
    lines = "\n".join(f"swim_dev_{number},x,gold" for number in range(12))
    with pytest.raises(InvalidImport) as caught:
        parse_keys(f"api_key,owner_name,tier\n{lines}")
    assert len(caught.value.problems) == 12
    assert str(caught.value).endswith("and 2 more")
    assert "swim_dev_" not in str(caught.value)


@pytest.mark.parametrize("text", ["api_key,owner_name\nswim_dev_x,x", '[{"api_key": "swim_dev_x", "owner_name": "x"}]'])
def test_byte_order_mark_before_the_text_is_left_out(text: str) -> None:
    assert parse_keys("\ufeff" + text) == parse_keys(text) != []


def test_word_null_of_a_table_export_is_no_value() -> None:
    heading = "api_key,owner_name,owner_email,expires_at,created_at"
    (key,) = parse_keys(f"{heading}\nswim_dev_x,x,NULL,NULL,2024-01-02 03:04:05.1234567")
    assert key.new_key.owner_email is None
    assert key.new_key.expires_at is None
    assert key.created_at is not None


@given(st.text())
def test_any_text_is_keys_or_a_told_problem(text: str) -> None:
    try:
        parse_keys(text)
    except InvalidImport as error:
        assert str(error)
