"""HTTP responses, before their content is examined."""

from __future__ import annotations

import gzip

import pytest
from swim_server.sources.feeds.http_feed import FeedTrouble, inflate, read_retry_after

NOW = 1_732_190_400.0
BODY = b'{"general": {}}' * 100


def test_a_compressed_body_is_inflated_and_another_is_left_alone() -> None:
    assert inflate(gzip.compress(BODY)) == BODY
    assert inflate(BODY) == BODY
    assert inflate(b"") == b""


@pytest.mark.parametrize("cut", [5, 20, -1])
def test_a_compressed_body_that_is_cut_off_is_told(cut: int) -> None:
    with pytest.raises(FeedTrouble) as trouble:
        inflate(gzip.compress(BODY)[:cut])
    assert trouble.value.kind == "truncated"


def test_garbage_behind_the_magic_number_is_told() -> None:
    with pytest.raises(FeedTrouble, match="damaged"):
        inflate(b"\x1f\x8b" + b"garbage" * 9)


def test_a_bomb_is_not_inflated() -> None:
    with pytest.raises(FeedTrouble, match="too large: more than 1,000 bytes inflated"):
        inflate(gzip.compress(bytes(10_000_000)), 1_000)
    with pytest.raises(FeedTrouble, match="too large"):
        inflate(BODY, 1_000)


def test_a_body_is_held_to_32_mib_unless_told_otherwise() -> None:
    packed = gzip.compress(bytes(32 * 1024 * 1024 + 1), 1)
    with pytest.raises(FeedTrouble, match="too large"):
        inflate(packed)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Thu, 21 Nov 2024 12:01:00 GMT", 60.0),
        ("Thu, 21 Nov 2024 11:00:00 GMT", 0.0),
        ("999999999", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_both_its_forms(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, NOW) == seconds
