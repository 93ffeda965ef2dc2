"""The state compared with the fold of history's events."""

from __future__ import annotations

from typing import Any

import pytest
from swim_server.daemon.control.documents.diagnostics import SampledEntry, ToldOf

from swimctl.doctor.checks.stream.state import _differences

FLIGHT = {"flight_uid": 7, "callsign": "BAW7"}


def told(type: str, at: str, **data: Any) -> ToldOf:
    return ToldOf(type=type, timestamp=f"2026-01-16T14:30:{at}.000Z", at_ms=1, data={**FLIGHT, **data})


def sampled(entry: dict[str, Any] | None, *events: ToldOf) -> list[SampledEntry]:
    return [SampledEntry(kind="flights", key="7", entry=entry, told=list(events))]


def folded(**more: Any) -> dict[str, Any]:
    """What the events below make of the flight."""
    from swim_server.state.folding import FLIGHT_FIELDS

    begun, changed = "2026-01-16T14:30:01.000Z", "2026-01-16T14:30:02.000Z"
    nothing: dict[str, Any] = dict.fromkeys(FLIGHT_FIELDS)
    return {**nothing, **FLIGHT, "phase": "enroute", "first_seen_at": begun, "updated_at": changed, **more}


EVENTS = (told("flight.created", "01", phase="prefiled"), told("flight.updated", "02", phase="enroute"))


@pytest.mark.parametrize(
    ("entry", "events", "difference"),
    [
        (folded(), EVENTS, None),
        (folded(phase="prefiled"), EVENTS, "otherwise in phase than its 2 events tell"),
        (None, EVENTS, "history has it, the state doesn't"),
        (None, (*EVENTS, told("flight.deleted", "03")), None),
        (folded(), (*EVENTS, told("flight.deleted", "03")), "its events end it, the state has it"),
    ],
)
def test_entry_is_what_its_events_make_of_it(
    entry: dict[str, Any] | None, events: tuple[ToldOf, ...], difference: str | None
) -> None:
    found = _differences(sampled(entry, *events))
    assert found == ([] if difference is None else [f"flights 7: {difference}"])
