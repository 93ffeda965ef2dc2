"""JSON Schemas of all messages and payloads, under one set of names."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from swim_server.protocol.channels import Catalogue
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.payloads import PAYLOADS
from swim_server.protocol.schema.wire_types import CLIENT_MESSAGES, SERVER_MESSAGES

REF = "#/components/schemas/{name}"
ANY_OBJECT: Mapping[str, object] = {"type": "object", "description": "What its provider sent."}
EVENT_ID: Mapping[str, object] = {
    "type": "string",
    "pattern": "^[0-9]{1,15}-[0-9]{1,7}$",
    "description": "<unix-ms>-<seq>",
}
TIME: Mapping[str, object] = {"type": "string", "format": "date-time"}
HEARTBEAT = "system.heartbeat"


def schemas() -> JsonObject:
    """Return the schema of every type by its name."""
    payloads = list(dict.fromkeys(PAYLOADS.values()))
    _, found = msgspec.json.schema_components((*CLIENT_MESSAGES, *SERVER_MESSAGES, *payloads), ref_template=REF)
    return dict(sorted(found.items()))


def event_schema(event_type: str) -> JsonObject:
    """Describe a whole event; an open-ended type (``tmi.program.*``) stands for all types with that prefix."""
    payload = PAYLOADS.get(event_type)
    data = {"$ref": REF.format(name=payload.__name__)} if payload is not None else dict(ANY_OBJECT)
    name = (
        {"type": "string", "pattern": f"^{event_type[:-1].replace('.', '[.]')}"}
        if event_type.endswith(".*")
        else {"const": event_type}
    )
    required = ["type", "timestamp", "data"] if event_type == HEARTBEAT else ["type", "timestamp", "id", "data"]
    return {
        "type": "object",
        "properties": {"type": name, "timestamp": dict(TIME), "id": dict(EVENT_ID), "data": data},
        "required": required,
    }


def event_types(catalogue: Catalogue) -> list[str]:
    """List all known types."""
    return sorted(catalogue.types)
