"""Initiatives in the tables: every transition from one state to another."""

from __future__ import annotations

import msgspec
import pytest
from swim_server.detection.adl_programs import ProgramBook, compare_programs
from swim_server.detection.adl_rows import ProgramRow

NOW = 1_768_573_815_000


def follow(*states: str | None) -> list[str]:
    """What an initiative brings that has these states at the looks, one after the other; None: its row is gone."""
    book, found, ids = ProgramBook(scope="adl:", has_begun=True), list[str](), set[str | None]()
    for state in states:
        rows = [] if state is None else [ProgramRow(program_id=7, status=state)]
        events, book = compare_programs(book, rows, NOW)
        book = msgspec.json.decode(msgspec.json.encode(book), type=ProgramBook)
        found += [f"{event.type.removeprefix('tmi.')} {event.data['status']}" for event in events]
        assert not ids & {event.event_id for event in events}, "each event has a name of its own"
        ids |= {event.event_id for event in events}
    return found


@pytest.mark.parametrize("ended", ["COMPLETED", "PURGED", "SUPERSEDED", "CANCELLED"])
def test_leaving_active_for_an_end_is_a_release(ended: str) -> None:
    assert follow("PROPOSED", "ACTIVE", ended, ended) == ["issued ACTIVE", f"released {ended}"]


@pytest.mark.parametrize("ended", ["COMPLETED", "PURGED", "SUPERSEDED", "CANCELLED"])
def test_what_was_never_active_is_never_released(ended: str) -> None:
    assert follow("PROPOSED", "MODELING", ended) == []


def test_paused_is_neither_issued_nor_released() -> None:
    assert follow("ACTIVE", "PAUSED", "PAUSED", "ACTIVE", "COMPLETED") == [
        "issued ACTIVE",
        "modified PAUSED",
        "modified ACTIVE",
        "released COMPLETED",
    ]
    assert follow("ACTIVE", "PAUSED", "CANCELLED") == ["issued ACTIVE", "modified PAUSED", "released CANCELLED"]
    assert follow("PAUSED", "CANCELLED") == []


def test_active_again_after_its_end_is_issued_again() -> None:
    assert follow("ACTIVE", "CANCELLED", "ACTIVE", "PURGED") == [
        "issued ACTIVE",
        "released CANCELLED",
        "issued ACTIVE",
        "released PURGED",
    ]


def test_a_row_that_is_gone_twice_is_released() -> None:
    assert follow("ACTIVE", None, "ACTIVE", None, None, None) == ["issued ACTIVE", "released PURGED"]


def test_what_is_in_force_at_the_first_look_is_not_announced_but_followed() -> None:
    events, book = compare_programs(ProgramBook(), [ProgramRow(program_id=7, status="ACTIVE")], NOW)
    assert events == []
    events, book = compare_programs(book, [ProgramRow(program_id=7, status="ACTIVE", end_ms=NOW)], NOW)
    assert [event.type for event in events] == ["tmi.modified"]


@pytest.mark.parametrize(("updated", "stamp"), [(NOW - 5_000, NOW - 5_000), (NOW - 90_000_000, None), (NOW + 1, None)])
def test_an_event_has_the_row_s_stamp_only_if_it_can_be_its_time(updated: int, stamp: int | None) -> None:
    row = ProgramRow(program_id=7, status="ACTIVE", updated_ms=updated)
    (event,), _ = compare_programs(ProgramBook(has_begun=True), [row], NOW)
    assert event.timestamp_ms == stamp
