"""Who may publish what, and how it must look."""

from __future__ import annotations

from typing import Any

import pytest
from swim_server.keys.format import Tier
from swim_server.keys.records import KeyRecord
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.streaming.publishing import Publishing

RULES = Publishing(Catalogue(), channels_by_key={17: ["splits.*", "aman.updated"]})


def key(key_id: int = 1, **values: Any) -> KeyRecord:
    return KeyRecord(**{"id": key_id, "hint": "…", "tier": Tier.SYSTEM, "owner_name": "provider", **values})


def event(type: str = "splits.updated", **data: Any) -> NewEvent:
    return NewEvent(type=type, data=data)


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("splits.updated", {"config_id": 5, "anything": [1, {"x": None}]}),
        ("flight.departed", {"callsign": "DAL5", "latitude": 40, "own": True}),
        ("aman.updated", {"callsign": 5}),
        ("system.notice", {}),
    ],
)
def test_unknown_fields_and_free_families_pass(type: str, data: dict[str, Any]) -> None:
    assert RULES.check(event(type, **data)).data == data


def test_north_is_taken_as_pilots_write_it() -> None:
    assert RULES.check(event("flight.position", heading_deg=360, own=360)).data == {"heading_deg": 0, "own": 360}
    batch = {"positions": [{"heading_deg": 360}, {"heading_deg": 359}]}
    expected = {"positions": [{"heading_deg": 0}, {"heading_deg": 359}]}
    assert RULES.check(event("flight.positions", **batch)).data == expected
    assert RULES.check(event("splits.updated", heading_deg=360)).data == {"heading_deg": 360}


@pytest.mark.parametrize(
    ("type", "data", "text"),
    [
        ("flight.departed", {"latitude": "x"}, "data.latitude: Expected `float | null`, got `str`"),
        ("flight.departed", {"heading_deg": 361}, "data.heading_deg: "),
        ("flight.positions", {"positions": [{"flight_uid": "x17"}]}, "data.positions[0].flight_uid: "),
        ("splits.updated", {"position_count": "three"}, "data.position_count: "),
        ("splits.updated", {"x": float("nan")}, "data.x: must be a finite number"),
        ("flight.departd", {}, "flight.departd"),
        ("flight.*", {}, "flight.*"),
        ("system.heartbeat", {}, "the service's own"),
    ],
)
def test_wrong_types_are_told_with_their_path(type: str, data: dict[str, Any], text: str) -> None:
    with pytest.raises(BadMessage) as refused:
        RULES.check(event(type, **data))
    assert refused.value.code is ErrorCode.INVALID_PUBLISH
    assert text in refused.value.message


@pytest.mark.parametrize(
    ("record", "published"),
    [
        (None, event("tmi.issued")),
        (key(), event("tmi.issued")),
        (key(17), event("splits.activated")),
        (key(17), event("aman.updated")),
        (key(allowed_sources=("vnas",)), event(source="vnas")),
        (key(allowed_sources=("vnas",), source_id="vnas"), event()),
        (key(can_write=True), event()),
    ],
)
def test_what_a_key_may_publish(record: KeyRecord | None, published: NewEvent) -> None:
    RULES.authorise(record, published)


@pytest.mark.parametrize(
    ("record", "published", "text"),
    [
        (key(tier=Tier.PARTNER), event(), "publishing needs a key of the system tier"),
        (key(can_write=False), event(), "this key may not publish"),
        (key(17), event("tmi.issued"), "this key may publish only splits.*, aman.updated"),
        (key(17, allowed_sources=("vnas",)), event(source="x"), "only for the sources vnas"),
        (key(allowed_sources=()), event(source="x"), "this key may publish only"),
    ],
)
def test_what_a_key_may_not_publish(record: KeyRecord, published: NewEvent, text: str) -> None:
    with pytest.raises(BadMessage) as refused:
        RULES.authorise(record, published)
    assert refused.value.code is ErrorCode.FORBIDDEN
    assert text in refused.value.message


def test_only_publications_of_the_system_tier_are_counted_apart() -> None:
    assert RULES.governs("system", b'{"action":"publish"}')
    assert not RULES.governs("partner", b'{"action":"publish"}')
    assert not RULES.governs("system", b'{"action":"ping"}')
