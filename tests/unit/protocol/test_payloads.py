"""The payload types agree with the protocol's table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.json_data import InvalidData
from swim_server.protocol.payloads import PAYLOADS, check_payload

PLACE = (
    "callsign flight_uid dep arr latitude longitude altitude_ft groundspeed_kts heading_deg current_artcc current_fir "
    "phase"
)
IN_SECTOR = f"{PLACE} current_sector"
CREATED = f"{IN_SECTOR} equipment route"
POSITION = f"{PLACE} vertical_rate_fpm"
FIELDS = {
    "flight.created": CREATED,
    "flight.updated": f"{CREATED} changed",
    "flight.departed": f"{IN_SECTOR} off_utc",
    "flight.arrived": f"{IN_SECTOR} in_utc arrived_at diverted",
    "flight.deleted": IN_SECTOR,
    "flight.position": POSITION,
    "flight.positions": "count positions",
    "tmi.issued": "program_id program_type airport start_time end_time reason status",
    "tmi.modified": "program_id program_type airport start_time end_time reason status",
    "tmi.released": "program_id program_type airport status end_time",
    **{
        f"splits.{name}": "config_id artcc config_name status source position_count triggered_by"
        for name in ("activated", "deactivated", "updated", "ingested")
    },
}


def test_every_type_with_a_payload_is_a_known_type() -> None:
    assert PAYLOADS.keys() == FIELDS.keys()
    assert PAYLOADS.keys() <= Catalogue().types


@pytest.mark.parametrize("event_type", list(FIELDS))
def test_payload_has_the_fields_of_the_protocols_table(event_type: str) -> None:
    assert set(PAYLOADS[event_type].__struct_fields__) == set(FIELDS[event_type].split())


def test_payloads_have_a_json_schema() -> None:
    schemas, components = msgspec.json.schema_components(set(PAYLOADS.values()))
    assert len(schemas) == len(set(PAYLOADS.values()))
    assert "latitude" in components["Position"]["properties"]


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("flight.created", {}),
        ("flight.created", {"callsign": None, "flight_uid": None, "latitude": None}),
        (
            "flight.departed",
            {"callsign": "BAW1", "flight_uid": 2**53 - 1, "off_utc": "2026-01-16T14:30:15Z", "own": [1]},
        ),
        ("flight.position", {"latitude": 40, "longitude": -73.5, "altitude_ft": -20, "heading_deg": 0}),
        ("flight.positions", {"count": 0, "positions": []}),
        ("flight.positions", {"positions": [{"callsign": "BAW1", "extra": True}]}),
        ("tmi.issued", {"program_id": 17}),
        ("tmi.issued", {"program_id": "GS-17"}),
        ("ctp.slots.optimized", {"anything": {"goes": [1, 2]}}),
        ("weather.sigmet", {"callsign": 5}),
    ],
)
def test_missing_and_unknown_fields_and_nulls_pass(event_type: str, data: dict[str, Any]) -> None:
    check_payload(event_type, data)


@pytest.mark.parametrize(
    ("event_type", "data", "path"),
    [
        ("flight.created", {"callsign": 5}, "data.callsign"),
        ("flight.created", {"flight_uid": "17"}, "data.flight_uid"),
        ("flight.created", {"flight_uid": 2**53}, "data.flight_uid"),
        ("flight.created", {"latitude": 91}, "data.latitude"),
        ("flight.created", {"heading_deg": 360}, "data.heading_deg"),
        ("flight.updated", {"changed": "dep"}, "data.changed"),
        ("flight.updated", {"changed": [1]}, "data.changed[0]"),
        ("flight.positions", {"positions": [{"latitude": "x"}]}, "data.positions[0].latitude"),
        ("flight.positions", {"positions": {}}, "data.positions"),
        ("flight.positions", {}, "data"),
        ("splits.updated", {"position_count": "3"}, "data.position_count"),
        ("flight.created", {"own": float("nan")}, "data.own"),
    ],
)
def test_wrong_type_is_told_with_its_path(event_type: str, data: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        check_payload(event_type, data)
    assert refusal.value.path == path
    assert refusal.value.rule
