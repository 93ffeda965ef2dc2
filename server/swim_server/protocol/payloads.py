"""The ``data`` of each event type as types: for validation, schemas and documentation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from swim_server.protocol.json_data import InvalidData, JsonObject, check_data
from swim_server.protocol.positions import POSITION, POSITIONS
from swim_server.protocol.predicates import place_of

Uid = Annotated[int, Meta(ge=0, lt=2**53)]
Identifier = int | str
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Heading = Annotated[int, Meta(ge=0, le=359)]


class Flight(msgspec.Struct, kw_only=True):
    """Common to all flight events: which flight, between which aerodromes, and its last known position."""

    callsign: str | None = None
    """As filed: ``DAL123``."""
    flight_uid: Uid | None = None
    """Stable for the life of the flight; a JSON integer below 2^53."""
    dep: str | None = None
    """Departure aerodrome, ICAO code."""
    arr: str | None = None
    """Arrival aerodrome, ICAO code."""
    latitude: Latitude | None = None
    """Decimal degrees, north positive."""
    longitude: Longitude | None = None
    """Decimal degrees, east positive."""
    altitude_ft: int | None = None
    """Feet."""
    groundspeed_kts: int | None = None
    """Knots."""
    heading_deg: Heading | None = None
    """Degrees true, 0 to 359."""
    current_artcc: str | None = None
    """The centre whose airspace it is in: ``ZNY``; outside the United States its FIR."""
    current_fir: str | None = None
    """The FIR that it is in: ``KZNY``."""
    phase: str | None = None
    """``PREFLIGHT``, ``DEPARTING``, ``CLIMBING``, ``ENROUTE``, ``DESCENDING``, ``APPROACH``, ``LANDED``, ``ARRIVED``;
    null while it isn't known whether it is airborne.
    """


class FlightInSector(Flight, kw_only=True):
    """Fields of single events; batches of positions leave them out to save space."""

    current_sector: str | None = None
    """The sector of that FIR, if it has a boundary of its own: ``EGTL``."""


class FlightCreated(FlightInSector, kw_only=True):
    """``flight.created``: a flight plan or a pilot was seen for the first time."""

    equipment: str | None = None
    """Aircraft type and equipment as filed."""
    route: str | None = None
    """The route as filed."""


class FlightUpdated(FlightCreated, kw_only=True):
    """``flight.updated``: the plan was edited, or its pilot connected."""

    changed: list[str] | None = None
    """Names of the fields that changed."""


class FlightDeparted(FlightInSector, kw_only=True):
    """``flight.departed``: the flight was known on the ground and is now airborne."""

    off_utc: str | None = None
    """When it left the ground, RFC 3339."""


class FlightArrived(FlightInSector, kw_only=True):
    """``flight.arrived``: the flight was known airborne and is now on the ground, at its destination or elsewhere."""

    in_utc: str | None = None
    """When it was on the ground, RFC 3339."""
    arrived_at: str | None = None
    """The field where it landed, ICAO code; null at an unlisted place, and if the source doesn't know."""
    diverted: bool | None = None
    """Whether it landed elsewhere than filed; ``arr`` stays as filed. Null if that is not known."""


class FlightDeleted(FlightInSector, kw_only=True):
    """``flight.deleted``: the flight is gone; position and centre are the last known."""


class Position(Flight, kw_only=True):
    """``flight.position``, and each position of a batch."""

    vertical_rate_fpm: int | None = None
    """Feet per minute, climbing positive."""


class FlightPositions(msgspec.Struct, kw_only=True):
    """``flight.positions``: at most 280 positions per message, in under 65,536 bytes."""

    positions: list[Position]
    """Each with its own flight."""
    count: int | None = None
    """Number of positions in this message."""


class TmiReleased(msgspec.Struct, kw_only=True):
    """``tmi.released``: a traffic management initiative has ended."""

    program_id: Identifier | None = None
    """An integer where the source has one."""
    program_type: str | None = None
    """For instance ``GS`` (ground stop) or ``GDP`` (ground delay programme)."""
    airport: str | None = None
    """The aerodrome it applies to, ICAO code."""
    status: str | None = None
    """As the source names it: ``ACTIVE``."""
    end_time: str | None = None
    """RFC 3339."""


class Tmi(TmiReleased, kw_only=True):
    """``tmi.issued`` and ``tmi.modified``: a traffic management initiative is in force, or its terms have changed."""

    start_time: str | None = None
    """RFC 3339."""
    reason: str | None = None
    """Why, in the words of whoever issued it."""


class Splits(msgspec.Struct, kw_only=True):
    """``splits.*``: how a centre's sectors are split between controllers."""

    config_id: Identifier | None = None
    """An integer where the source has one."""
    artcc: str | None = None
    """The centre: ``ZNY``."""
    config_name: str | None = None
    """The name that the centre gave it."""
    status: str | None = None
    """As the source names it: ``ACTIVE``."""
    source: str | None = None
    """Where the configuration was made."""
    position_count: int | None = None
    """How many positions it has."""
    triggered_by: Identifier | None = None
    """Who changed it."""


PAYLOADS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "flight.created": FlightCreated,
        "flight.updated": FlightUpdated,
        "flight.departed": FlightDeparted,
        "flight.arrived": FlightArrived,
        "flight.deleted": FlightDeleted,
        POSITION: Position,
        POSITIONS: FlightPositions,
        "tmi.issued": Tmi,
        "tmi.modified": Tmi,
        "tmi.released": TmiReleased,
        "splits.activated": Splits,
        "splits.deactivated": Splits,
        "splits.updated": Splits,
        "splits.ingested": Splits,
    }
)
"""The types whose data is specified. The data of all others is whatever their provider sends."""


_FLIGHT = ("callsign",)
_PROGRAM = ("program_type", "airport")
EXPECTED_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flight.created": _FLIGHT,
        "flight.updated": _FLIGHT,
        "flight.departed": _FLIGHT,
        "flight.arrived": _FLIGHT,
        "flight.deleted": _FLIGHT,
        POSITION: ("callsign", "latitude", "longitude"),
        POSITIONS: ("positions",),
        "tmi.issued": _PROGRAM,
        "tmi.modified": _PROGRAM,
        "tmi.released": ("program_id",),
        "splits.activated": ("artcc",),
        "splits.deactivated": ("artcc",),
        "splits.updated": ("artcc",),
    }
)
"""Fields without which an event makes little sense. It is accepted all the same: null means unknown."""


def missing_fields(event_type: str, data: Mapping[str, object]) -> list[str]:
    """List the expected fields that are missing from the data."""
    return [name for name in EXPECTED_FIELDS.get(event_type, ()) if name not in data]


def check_payload(event_type: str, data: Mapping[str, object]) -> None:
    """Check data against its event's type: unknown and missing fields pass, a wrong type does not.

    Raises InvalidData with the path of the value.
    """
    check_data(data)
    payload = PAYLOADS.get(event_type)
    if payload is None:
        return
    try:
        msgspec.convert(data, payload)
    except msgspec.ValidationError as wrong:
        rule, _, path = str(wrong).rpartition(" - at `$.")
        raise InvalidData(f"data.{path.rstrip('`')}" if rule else "data", rule or str(wrong)) from None


class BadPosition(msgspec.Struct, frozen=True):
    """A position of a batch that can't be sent to clients."""

    index: int
    """Its place in the batch, from 0."""
    position: Any
    reason: str


def part_positions(event_type: str, data: JsonObject) -> tuple[JsonObject, list[BadPosition]]:
    """Separate the positions of a ``flight.positions`` batch that are wrong or not on earth from the rest.

    The rest has its own count. Other data, and a batch without a list of positions, is returned unchanged.
    """
    positions = data.get("positions")
    if event_type != POSITIONS or not isinstance(positions, list):
        return data, []
    bad = [
        BadPosition(index, position, reason)
        for index, position in enumerate(positions)
        if (reason := _fault_of_position(index, position)) is not None
    ]
    if not bad:
        return data, []
    left_out = {each.index for each in bad}
    kept = [position for index, position in enumerate(positions) if index not in left_out]
    return {**data, "positions": kept, "count": len(kept)}, bad


def _fault_of_position(index: int, position: Any) -> str | None:
    """Return what is wrong with one position, worded as by ``check_payload``; None if it is valid."""
    where = f"data.positions[{index}]"
    try:
        check_data({"positions": position})
        msgspec.convert(position, Position)
    except InvalidData as invalid:
        return f"{where}{invalid.path.removeprefix('data.positions')}: {invalid.rule}"
    except msgspec.ValidationError as wrong:
        rule, _, path = str(wrong).rpartition(" - at `$")
        return f"{where}{path.rstrip('`')}: {rule}" if rule else f"{where}: {wrong}"
    return None if place_of(position) is not None else f"{where}: has no latitude and longitude"
