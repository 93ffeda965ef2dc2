"""The state's rules again, written slowly and plainly; and random histories of a few things that often interact."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from support.any_filters import AIRPORTS, ARTCCS, LATITUDES, LONGITUDES, PHASES
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.state.world import World

FIRST_MS = 1_768_573_815_000
FIELDS = (
    *("callsign", "flight_uid", "dep", "arr", "equipment", "route", "latitude", "longitude", "altitude_ft"),
    *("groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc", "current_fir", "current_sector"),
    *("phase", "off_utc", "in_utc", "first_seen_at", "updated_at"),
)
GENERIC = {
    "tmi.issued": ("tmis", "program_id", False), "tmi.modified": ("tmis", "program_id", False),
    "tmi.released": ("tmis", "program_id", True),
    "splits.activated": ("splits", "config_id", False), "splits.updated": ("splits", "config_id", False),
    "splits.ingested": ("splits", "config_id", False), "splits.deactivated": ("splits", "config_id", True),
    "aman.sequence": ("sequences", "airport", False), "aman.updated": ("sequences", "airport", False),
}  # fmt: skip


def naive_fold(events: Iterable[tuple[str, str, dict[str, Any]]]) -> dict[str, dict[Any, dict[str, Any]]]:
    """Fold (type, timestamp, data) of all events, from the first, into entries by kind and key."""
    world: dict[str, dict[Any, dict[str, Any]]] = {"flights": {}, "tmis": {}, "splits": {}, "sequences": {}}
    for event_type, timestamp, data in events:
        if event_type.startswith("flight."):
            rows = data.get("positions") if event_type == "flight.positions" else [data]
            for row in rows if isinstance(rows, list) else []:
                if isinstance(row, dict):
                    fold_row(world["flights"], event_type, timestamp, row)
        elif event_type in GENERIC:
            kind, field, is_end = GENERIC[event_type]
            key = data.get(field)
            if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
                continue
            if is_end:
                world[kind].pop(key, None)
                continue
            first = world[kind].get(key, {}).get("first_seen_at", timestamp)
            world[kind][key] = {**world[kind].get(key, {}), **data, "first_seen_at": first, "updated_at": timestamp}
    return world


def key_of_row(row: dict[str, Any]) -> Any:
    """Return the flight that a row is about; None: no flight."""
    uid = row.get("flight_uid")
    if isinstance(uid, int) and not isinstance(uid, bool):
        return uid
    callsign = row.get("callsign")
    return callsign if isinstance(callsign, str) and callsign else None


def fold_row(flights: dict[Any, dict[str, Any]], event_type: str, timestamp: str, row: dict[str, Any]) -> None:
    """Apply one event, or one position of a batch, to the flights."""
    key = key_of_row(row)
    if key is None:
        return
    if event_type == "flight.deleted":
        flights.pop(key, None)
        return
    flight = dict(flights.get(key) or {**dict.fromkeys(FIELDS), "first_seen_at": timestamp})
    if event_type == "flight.departed":
        for field in ("in_utc", "arrived_at", "diverted"):
            if field in flight:
                flight[field] = None
    for field, value in row.items():
        if field in ("changed", "count", "positions", "first_seen_at"):
            continue
        flight[{"lat": "latitude", "lon": "longitude"}.get(field, field)] = value
    flight["updated_at"] = timestamp
    flights[key] = flight


def told(event: Event) -> tuple[str, str, dict[str, Any]]:
    message = json.loads(event.wire)
    return event.type, message["timestamp"], message["data"]


def held(folded: World) -> dict[str, dict[Any, dict[str, Any]]]:
    return {name: dict(entries.by_key) for name, entries in folded.kinds.items()}


class HistoryDice:
    """Random events about few flights and initiatives, from a seed."""

    TYPES = (
        *("flight.created", "flight.updated", "flight.departed", "flight.arrived", "flight.deleted"),
        *("flight.positions",) * 4, "flight.position",
        *("tmi.issued", "tmi.modified", "tmi.released", "tmi.program.published"),
        *("splits.activated", "splits.deactivated", "aman.sequence", "system.notice", "cdm.edct"),
    )  # fmt: skip

    def __init__(self, seed: int, *, flights: int = 8) -> None:
        self.random = random.Random(seed)
        self._flights = flights
        self._number = 0

    def new_event(self) -> NewEvent:
        """Return one that is not stored."""
        event_type = self.random.choice(self.TYPES)
        if event_type == "flight.positions":
            rows = [self._row("flight.position") for _ in range(self.random.randint(0, 6))]
            return NewEvent(type=event_type, data={"count": len(rows), "positions": rows})
        return NewEvent(type=event_type, data=self._row(event_type))

    def event(self) -> Event:
        """Return the next event of a history."""
        self._number += self.random.randint(1, 3)
        return stamp(self.new_event(), EventId(FIRST_MS + 10 * self._number, self._number % 3))

    def _row(self, event_type: str) -> dict[str, Any]:
        pick, chance = self.random.choice, self.random.random
        if event_type.startswith("tmi."):
            return {"program_id": pick((1, 2, "A")), "program_type": pick(("GS", "GDP")), "airport": pick(AIRPORTS),
                    "status": pick(("ACTIVE", None))}  # fmt: skip
        if event_type.startswith("splits."):
            return {"config_id": pick((7, 8)), "artcc": pick(ARTCCS), "status": pick(("on", "off"))}
        if event_type.startswith("aman."):
            return {"airport": pick((*AIRPORTS, None)), "sequence": [pick(("A", "B")) for _ in range(2)]}
        if not event_type.startswith("flight."):
            return {"text": pick(("a", "b"))}
        number = self.random.randrange(self._flights)
        row: dict[str, Any] = {"callsign": f"DAL{number % 5}"}
        if number:
            row["flight_uid"] = number
        for field, values in (
            ("dep", AIRPORTS), ("arr", (*AIRPORTS, None)), ("current_artcc", (*ARTCCS, None)), ("phase", PHASES),
            ("latitude", LATITUDES), ("longitude", LONGITUDES), ("altitude_ft", (0, 1000, None)),
            ("route", ("DCT", None)), ("etd", ("2026-01-16T14:30:00Z", None)),
        ):  # fmt: skip
            if chance() < (0.9 if event_type == "flight.created" else 0.5):
                row[field] = pick(values)
        if event_type == "flight.departed":
            row["off_utc"] = "2026-01-16T14:30:15.123Z"
        if event_type == "flight.arrived":
            row |= {"in_utc": "2026-01-16T15:30:15.123Z", "diverted": chance() < 0.5}
        if event_type == "flight.updated":
            row["changed"] = ["route"]
        return row
