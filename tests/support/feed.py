"""A small world for detection tests: airfields, reporting aircraft, a network seen snapshot by snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from swim_server.detection.airfields import Airfield, Airfields
from swim_server.detection.detect import Detection, detect
from swim_server.detection.feed import FeedPilot, FeedPlan, FeedPrefile, Snapshot
from swim_server.detection.geodesy import destination
from swim_server.detection.network_state import NetworkState
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms

NOON_MS = 1_732_190_400_000
"""2024-11-21T12:00:00Z."""

FIELDS = (
    Airfield("EDDF", 50.0333, 8.5706, 364),
    Airfield("EDDM", 48.3538, 11.7861, 1487),
    Airfield("EGJB", 49.4350, -2.6020, 336),
    Airfield("KDEN", 39.8617, -104.6732, 5434),
    Airfield("SKBO", 4.7016, -74.1469, 8361),
    Airfield("KATL", 33.6367, -84.4279, 1026),
    Airfield("K39N", 40.3991, -74.6591, 128),
    Airfield("LRBV", 45.7061, 25.5233, 127),  # as on record; it lies 1,600 ft higher
)
AIRFIELDS = Airfields(FIELDS, {"ATL": "KATL", "39N": "K39N"})


def stamp(seconds: float) -> str:
    """Return the time this many seconds after noon, in the feed's format."""
    return format_ms(NOON_MS + round(seconds * 1000))[:-1] + "0000Z"


def plan(dep: str | None = "EDDF", arr: str | None = "EDDM", aircraft: str = "A320", **others: str) -> FeedPlan:
    """Return a filed flight plan."""
    return FeedPlan(
        aircraft=others.get("full", f"{aircraft}/M-SDFG/C"),
        aircraft_faa=others.get("faa", f"{aircraft}/L"),
        aircraft_short=aircraft,
        departure=dep,
        arrival=arr,
        route=others.get("route", "DCT"),
    )


def pilot(at: float = 0, **values: Any) -> FeedPilot:
    """Return a connected pilot, reporting ``at`` seconds after noon: by default at the gate in EDDF with a plan to
    EDDM.
    """
    fields: dict[str, Any] = {
        "cid": 1000001,
        "callsign": "DLH1AB",
        "latitude": 50.0333,
        "longitude": 8.5706,
        "altitude": 364,
        "groundspeed": 0,
        "heading": 250,
        "flight_plan": plan(),
        "logon_time": stamp(-600),
        "last_updated": stamp(at),
    }
    return FeedPilot(**{**fields, **values})


def prefile(at: float = -300, **values: Any) -> FeedPrefile:
    """Return a plan of the same member and callsign whose pilot isn't connected."""
    fields: dict[str, Any] = {
        "cid": 1000001,
        "callsign": "DLH1AB",
        "flight_plan": plan(),
        "last_updated": stamp(at),
    }
    return FeedPrefile(**{**fields, **values})


def snapshot(at: float, pilots: Sequence[FeedPilot] = (), prefiles: Sequence[FeedPrefile] | None = ()) -> Snapshot:
    """Return the network this many seconds after noon."""
    return Snapshot(NOON_MS + round(at * 1000), list(pilots), None if prefiles is None else list(prefiles))


def beside(code: str, distance_nm: float, bearing: float = 90) -> dict[str, float]:
    """Return a position at a distance from an airfield."""
    field = AIRFIELDS.get(code)
    assert field is not None
    latitude, longitude = destination(field.latitude, field.longitude, bearing, distance_nm)
    return {"latitude": latitude, "longitude": longitude}


def document(snapshot: Snapshot) -> bytes:
    """Return the snapshot as the feed's JSON."""
    return msgspec.json.encode(
        {
            "general": {"version": 3, "update_timestamp": format_ms(snapshot.update_ms)},
            "pilots": snapshot.pilots,
            "prefiles": snapshot.prefiles,
        }
    )


class Network:
    """Receives one snapshot after the other, as a source does; its state goes through JSON, as in a state file."""

    def __init__(self, airfields: Airfields = AIRFIELDS, scope: str = "") -> None:
        self.airfields = airfields
        self.network_state = NetworkState(scope=scope)
        self.events: list[NewEvent] = []
        """All so far."""

    def see(
        self,
        at: float,
        pilots: Sequence[FeedPilot] = (),
        prefiles: Sequence[FeedPrefile] | None = (),
        *,
        with_positions: bool = True,
    ) -> list[NewEvent]:
        """Process a snapshot taken ``at``; return its events."""
        return self.take(snapshot(at, pilots, prefiles), with_positions=with_positions).events

    def take(self, snapshot: Snapshot, *, with_positions: bool = True) -> Detection:
        """Process a snapshot; return the whole detection."""
        detection = detect(self.network_state, snapshot, self.airfields, with_positions=with_positions)
        self.network_state = msgspec.json.decode(msgspec.json.encode(detection.network_state), type=NetworkState)
        self.events += detection.events
        return detection


def types(events: Sequence[NewEvent]) -> list[str]:
    """Return the events' types without positions."""
    return [event.type.removeprefix("flight.") for event in events if event.type != "flight.positions"]


def positions(events: Sequence[NewEvent]) -> list[dict[str, Any]]:
    """Return all positions announced."""
    return [position for event in events if event.type == "flight.positions" for position in event.data["positions"]]
