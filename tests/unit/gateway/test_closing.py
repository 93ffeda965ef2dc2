"""When the server closes a connection, and what fits into its close frame."""

from __future__ import annotations

import math

import pytest
from swim_server.gateway.closing import LONGEST_REASON_BYTES, close_due, close_reason, move_time
from swim_server.protocol.codes import CloseCode


def test_client_that_answers_and_may_stay_is_not_closed() -> None:
    assert close_due(75.0, last_seen=0.0, move_at=math.inf, heartbeat_seconds=30) is None


def test_client_that_answers_no_pings_is_closed_as_slow() -> None:
    due = close_due(75.1, last_seen=0.0, move_at=math.inf, heartbeat_seconds=30)
    assert due is not None
    assert (due.code, due.retry_ms) == (CloseCode.SLOW_CONSUMER, 0)


def test_client_that_has_been_connected_for_long_is_asked_to_reconnect_and_told_when() -> None:
    due = close_due(60.0, last_seen=60.0, move_at=60.0, heartbeat_seconds=30)
    assert due is not None
    assert due.code is CloseCode.SERVICE_RESTART
    assert due.reason.endswith(f"retry_ms={due.retry_ms}")
    assert 100 <= due.retry_ms <= 2000


def test_clients_are_moved_within_the_last_tenth_of_their_time_or_never() -> None:
    assert move_time(5.0, 0) == math.inf
    assert all(5 + 0.9 * 3600 <= move_time(5.0, 1) <= 5 + 3600 for _ in range(100))


@pytest.mark.parametrize("text", ["short", "x" * 200, "ä" * 100, "€" * 100])
def test_reason_is_cut_between_characters(text: str) -> None:
    reason = close_reason(text)
    assert text.startswith(reason)
    assert min(len(text.encode()), LONGEST_REASON_BYTES - 3) <= len(reason.encode()) <= LONGEST_REASON_BYTES
