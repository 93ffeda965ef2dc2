"""What the ``data`` of each event type holds, as types: for validation, for schemas, for readers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from swim_server.protocol.json_data import InvalidData, check_data
from swim_server.protocol.positions import POSITION, POSITIONS
from swim_server.protocol.predicates import place_of

Uid = Annotated[int, Meta(ge=0, lt=2**53)]
Identifier = int | str
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Heading = Annotated[int, Meta(ge=0, le=359)]


class Flight(msgspec.Struct, kw_only=True):
    """What every flight event tells: which flight, between which aerodromes, and where it was last seen."""

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
    """``PREFLIGHT``, ``DEPARTING``, ``CLIMBING``, ``ENROUTE``, ``DESCENDING``, ``APPROACH``, ``LANDED``,
    ``ARRIVED``; null while it isn't known whether it flies."""


class FlightInSector(Flight, kw_only=True):
    """What single events tell beside that; a batch of positions has no room for it."""

    current_sector: str | None = None
    """The sector of that FIR, where it has a boundary of its own: ``EGTL``."""


class FlightCreated(FlightInSector, kw_only=True):
    """``flight.created``: a flight plan or a pilot was seen first."""

    equipment: str | None = None
    """Aircraft type and equipment as filed."""
    route: str | None = None
    """The route as filed."""


class FlightUpdated(FlightCreated, kw_only=True):
    """``flight.updated``: the plan was edited, or its pilot connected."""

    changed: list[str] | None = None
    """Names of the fields that changed."""


class FlightDeparted(FlightInSector, kw_only=True):
    """``flight.departed``: known on the ground before, now airborne."""

    off_utc: str | None = None
    """When it left the ground, RFC 3339."""


class FlightArrived(FlightInSector, kw_only=True):
    """``flight.arrived``: known airborne before, now on the ground, at its destination or elsewhere."""

    in_utc: str | None = None
    """When it was on the ground, RFC 3339."""
    arrived_at: str | None = None
    """The field where it is, ICAO code; null at an unlisted place, and where the source doesn't tell."""
    diverted: bool | None = None
    """Elsewhere than filed: ``arr`` stays as filed. Null where that can't be told."""


class FlightDeleted(FlightInSector, kw_only=True):
    """``flight.deleted``: the flight went away; position and centre are the last known."""


class Position(Flight, kw_only=True):
    """``flight.position``, and each of a batch: where a flight is."""

    vertical_rate_fpm: int | None = None
    """Feet a minute, climbing positive."""


class FlightPositions(msgspec.Struct, kw_only=True):
    """``flight.positions``: at most 280 positions in a message, in under 65,536 bytes."""

    positions: list[Position]
    """Each with its own flight."""
    count: int | None = None
    """How many there are in this message."""


class TmiReleased(msgspec.Struct, kw_only=True):
    """``tmi.released``: a traffic management initiative is over."""

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
    """``tmi.issued`` and ``tmi.modified``: a traffic management initiative holds, or holds with other terms."""

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
"""The types whose data is laid down. All others hold what their provider sent."""


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
"""Without these an event makes no sense. It is accepted all the same: null means not known."""


def missing_fields(event_type: str, data: Mapping[str, Any]) -> list[str]:
    """List the expected fields that data does not have at all."""
    return [name for name in EXPECTED_FIELDS.get(event_type, ()) if name not in data]


def check_payload(event_type: str, data: Mapping[str, Any]) -> None:
    """Check data against its event's type: unknown and missing fields pass, a wrong type is told with its path.

    Raises InvalidData.
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
    """A position of a batch that can't be sent to anybody."""

    index: int
    """Its place in the batch, from 0."""
    position: Any
    reason: str


def part_positions(event_type: str, data: dict[str, Any]) -> tuple[dict[str, Any], list[BadPosition]]:
    """Take the positions out of a ``flight.positions`` batch that are wrong or lie nowhere; all other data stays.

    What remains has its own count. A batch without a list of positions is left to ``check_payload``.
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
    """Say what is wrong with one position, as ``check_payload`` says it of the batch; None: nothing."""
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
