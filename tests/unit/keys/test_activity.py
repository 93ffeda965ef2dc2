"""Batches of uses and refusals."""

from __future__ import annotations

from datetime import timedelta

from support.virtual_clock import START
from swim_server.keys.records import Refused
from swim_server.keys.write_behind.activity import Activity

UNKNOWN = Refused("no", "unknown")
EXPIRED = Refused("no", "expired", 7)


def test_uses_are_taken_once() -> None:
    activity = Activity()
    for key_id in (1, 2, 1):
        activity.use(key_id)
    assert activity.take_used() == {1, 2}
    assert activity.take_used() == set()


def test_same_refusal_again_is_counted_and_others_are_kept_apart() -> None:
    activity = Activity()
    for _ in range(3):
        activity.refuse(UNKNOWN, "192.0.2.1", START)
    activity.refuse(EXPIRED, "192.0.2.1", START)
    entries = activity.take_refusals()
    assert [(entry.key_id, entry.origin, entry.detail) for entry in entries] == [
        (None, "192.0.2.1", "unknown, 3 times"),
        (7, "192.0.2.1", "expired"),
    ]
    assert activity.take_refusals() == []


def test_flood_of_refusals_becomes_a_number() -> None:
    activity = Activity(refusal_limit=2)
    for number in range(1_000):
        activity.refuse(UNKNOWN, f"2001:db8::{number:x}", START)
    entries = activity.take_refusals()
    assert len(entries) == 3
    assert entries[-1].detail == "998 more, of other keys or addresses"


def test_refusal_without_an_address_is_kept() -> None:
    activity = Activity()
    activity.refuse(UNKNOWN, None, START)
    assert activity.take_refusals()[0].origin == ""


def test_flood_that_goes_on_is_written_at_a_bounded_rate() -> None:
    activity = Activity(refusal_limit=10, refusals_per_hour=36)
    written = 0
    for seconds in range(0, 3_600, 10):
        for number in range(100):
            activity.refuse(UNKNOWN, f"2001:db8:{seconds:x}::{number:x}", START + timedelta(seconds=seconds))
        written += sum(entry.origin != "" for entry in activity.take_refusals())
    assert 10 + 34 <= written <= 10 + 36
