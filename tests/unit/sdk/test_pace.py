"""Requests stay below the server's limit."""

from __future__ import annotations

from swim_client.conversation import RateLimiter


async def test_so_many_in_any_second_and_no_more() -> None:
    now = 10.0
    pace = RateLimiter(3, monotonic=lambda: now)
    for _ in range(3):
        assert pace.wait_seconds() == 0
        await pace.turn()
    assert pace.wait_seconds() == 1.0
    now = 10.4
    assert round(pace.wait_seconds(), 3) == 0.6
    now = 11.0
    assert pace.wait_seconds() == 0
