"""Builds events from what a comparison finds: their data, their times, and reproducible event ids."""

from __future__ import annotations

from hashlib import blake2s

import msgspec

from swim_server.detection.airfields import Airfields
from swim_server.detection.event_data import flight_data, moment_data, position_data
from swim_server.detection.legs import Arrival
from swim_server.detection.network_state import Flight, Report
from swim_server.detection.regions import Regions
from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.positions import POSITIONS


class EventBuilder:
    """Collects the events of one snapshot.

    An event id is made from scope, flight and the count of what the flight did, not from the snapshot: the same
    departure found again in a later snapshot, because the state was not saved in time, has the same id.
    """

    def __init__(self, scope: str, update_ms: int, regions: Regions, airfields: Airfields) -> None:
        self._scope = scope
        self._update_ms = update_ms
        self._regions = regions
        self._airfields = airfields
        self._created: list[NewEvent] = []
        self._updated: list[NewEvent] = []
        self._moved: list[NewEvent] = []
        """Departures and arrivals."""
        self._deleted: list[NewEvent] = []
        self._positions: list[JsonObject] = []

    def events(self) -> list[NewEvent]:
        """Return all events: created, updated, departed and arrived by time, deleted, and one batch of positions."""
        moved = sorted(self._moved, key=lambda event: event.timestamp_ms or 0)
        events = [*self._created, *self._updated, *moved, *self._deleted]
        if self._positions:
            data = {"count": len(self._positions), "positions": self._positions}
            events.append(self._event(POSITIONS, self._update_ms, str(self._update_ms), data))
        return events

    def created(self, flight: Flight, at_ms: int) -> None:
        """Report a flight that was first seen, or seen again after it was deleted."""
        name = f"{flight.uid}:{flight.incarnation}"
        self._created.append(
            self._event("flight.created", at_ms, name, flight_data(flight, self._regions, self._airfields))
        )

    def updated(self, flight: Flight, at_ms: int, changed: list[str]) -> None:
        """Report that the wire fields ``changed`` of a flight have new values."""
        data = {**flight_data(flight, self._regions, self._airfields), "changed": changed}
        # The count alone could give two different edits one id if the first detection was lost.
        said = blake2s(msgspec.json.encode([changed, flight.plan]), digest_size=4).hexdigest()
        self._updated.append(self._event("flight.updated", at_ms, f"{flight.uid}:{flight.updates}:{said}", data))

    def departed(self, flight: Flight, off_ms: int) -> None:
        """Report that a flight left the ground."""
        data = moment_data(flight, self._regions, self._airfields, off_utc=off_ms)
        self._moved.append(self._event("flight.departed", off_ms, f"{flight.uid}:{flight.departures}", data))

    def arrived(self, flight: Flight, in_ms: int, arrival: Arrival) -> None:
        """Report that a flight is on the ground, at its destination or elsewhere."""
        where = {"arrived_at": arrival.field, "diverted": arrival.is_diverted}
        data = moment_data(flight, self._regions, self._airfields, in_utc=in_ms) | where
        self._moved.append(self._event("flight.arrived", in_ms, f"{flight.uid}:{flight.arrivals}", data))

    def deleted(self, flight: Flight) -> None:
        """Report that a flight is gone."""
        name = f"{flight.uid}:{flight.incarnation}"
        self._deleted.append(
            self._event("flight.deleted", self._update_ms, name, moment_data(flight, self._regions, self._airfields))
        )

    def position(self, flight: Flight, report: Report, phase: str | None) -> None:
        """Report that a flight's position differs from the last published one."""
        self._positions.append(position_data(flight, report, self._regions, phase))

    def _event(self, type: str, at_ms: int, name: str, data: JsonObject) -> NewEvent:
        return NewEvent(type=type, data=data, timestamp_ms=at_ms, event_id=f"{self._scope}:{type}:{name}")
