"""The shape of keys."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seeded_bytes import SeededBytes
from swim_server.keys.format import (
    PREFIXES,
    KeyShape,
    Tier,
    checksum,
    classify,
    digest,
    generate,
    hint,
    is_digest,
)

BASE62 = string.digits + string.ascii_letters
tiers = st.sampled_from(list(Tier))


@pytest.mark.parametrize("tier", list(Tier))
def test_generated_key_has_prefix_randomness_and_checksum(tier: Tier) -> None:
    key = generate(tier, SeededBytes(1))
    assert len(key) == 47
    assert key.startswith(PREFIXES[tier])
    assert set(key[9:]) <= set(BASE62)
    assert key[-6:] == checksum(key[:-6])
    assert classify(key) is KeyShape.OWN


def test_checksum_is_base62_of_crc32() -> None:
    """CRC-32 of ``123456789`` is 0xCBF43926, 3421780262, the value that every table of CRCs gives."""
    digits = 0
    for character in checksum("123456789"):
        digits = digits * 62 + (string.digits + string.ascii_uppercase + string.ascii_lowercase).index(character)
    assert digits == 0xCBF43926


@given(tiers, st.integers(), st.integers(0, 37), st.sampled_from(BASE62))
def test_one_mistyped_character_is_noticed(tier: Tier, seed: int, place: int, character: str) -> None:
    key = generate(tier, SeededBytes(seed))
    typo = key[: 9 + place] + character + key[10 + place :]
    assert classify(typo) is (KeyShape.OWN if typo == key else KeyShape.MISTYPED)


@given(tiers, st.integers(), st.integers(9, 45))
def test_two_swapped_characters_are_noticed(tier: Tier, seed: int, place: int) -> None:
    key = generate(tier, SeededBytes(seed))
    typo = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert classify(typo) is (KeyShape.OWN if typo == key else KeyShape.MISTYPED)


def test_key_in_another_case_is_mistyped() -> None:
    assert classify(generate(Tier.PUBLIC, SeededBytes(1)).replace("swim_pub_", "SWIM_PUB_")) is KeyShape.FOREIGN
    key = generate(Tier.PUBLIC, SeededBytes(1))
    assert classify(key[:9] + key[9:].swapcase()) is KeyShape.MISTYPED


@pytest.mark.parametrize(
    "key", ["swim_dev_hp_test", "swim_0f8fad5b-d9cb-469f-a165-70867728950e", "swim_par_" + "0f" * 32, "x", "a$b{c};'\""]
)
def test_key_of_another_shape_is_foreign_and_needs_a_query(key: str) -> None:
    assert classify(key) is KeyShape.FOREIGN


@pytest.mark.parametrize(
    "key",
    [
        "sha256$3Slis5Jxm4Asch0r9T23fsLxE-v6PASBwWc8DIR-hnw",
        "SHA256$x",
        "swim_dev_hp_test ",
        " swim_dev_hp_test",
        "swim_dev\0_hp",
        "swim_dev\n",
        "swim_dëv",
        "ｓｗｉｍ",
        "x" * 129,
        "x" * 10_240,
        "\ud800",
    ],
)
def test_text_that_can_be_no_key_is_malformed(key: str) -> None:
    assert classify(key) is KeyShape.MALFORMED


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_is_missing(key: str | None) -> None:
    assert classify(key) is KeyShape.MISSING


@given(st.text())
def test_any_text_has_a_shape(text: str) -> None:
    assert classify(text) in KeyShape


def test_digest_is_fifty_characters_of_unpadded_base64url() -> None:
    assert digest("abc") == "sha256$ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
    assert len(digest("abc")) == 50
    assert is_digest(digest("abc"))
    assert not is_digest("swim_dev_hp_test")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("swim_dev_" + "a" * 34 + "x9Qz", "swim_dev_…x9Qz"),
        ("swim_dev_hp_test", "swim_dev_…"),
        ("swim_0f8fad5b-d9cb-469f-a165-70867728950e", "swim_…950e"),
        ("something else", "…"),
    ],
)
def test_hint_shows_the_tail_of_long_keys_only(key: str, expected: str) -> None:
    assert hint(key) == expected


def test_bytes_that_would_skew_the_distribution_are_thrown_away() -> None:
    """248 to 255 would make the first eight characters likelier than the others."""
    given_bytes = iter([bytes([255] * 32), bytes(range(32)), bytes(32)])
    key = generate(Tier.PUBLIC, lambda count: next(given_bytes))
    assert key[9:41] == BASE62[:10] + string.ascii_uppercase[:22]
