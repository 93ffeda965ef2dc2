"""The plain HTTP API as an OpenAPI 3.1 document."""

from __future__ import annotations

from urllib.parse import urlsplit

from swim_server.protocol.channels import Catalogue
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.messages import PROTOCOL_VERSION
from swim_server.protocol.schema.components import EVENT_ID, event_schema, event_types, schemas

KINDS = (
    ("flights", "The flights"),
    ("tmis", "The initiatives"),
    ("splits", "The splits"),
    ("sequences", "The sequences"),
)
FORMATS = ("json", "ndjson", "geojson", "csv")
_LISTS = ("airports", "artccs", "firs", "constrained_firs", "callsign_prefix", "phase")
_REFUSALS = {
    "400": "The request is invalid: code and message say why.",
    "401": "The key is missing or refused.",
    "429": "Too many requests: Retry-After says how long to wait.",
    "503": "Temporarily unavailable.",
}


def openapi_document(catalogue: Catalogue, public_url: str | None) -> JsonObject:
    """Generate it from the types and routes."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SWIM over plain HTTP",
            "version": PROTOCOL_VERSION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": _base(public_url)}],
        "security": [{"bearer": []}, {"header": []}],
        "paths": {
            **{f"/{kind}": {"get": _state(kind, text)} for kind, text in KINDS},
            "/flights/{flight}": {"get": _flight()},
            "/events": {"get": _history(), "post": _publish()},
            "/stream": {"get": _stream()},
            "/ticket": {"post": _ticket()},
            "/healthz": {"get": _open("health", "Whether the service is alive.", "application/json")},
            "/readyz": {"get": _ready()},
            "/asyncapi.json": {"get": _open("asyncapi", "The wire protocol.", "application/json")},
            "/openapi.json": {"get": _open("openapi", "This document.", "application/json")},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": {
                **schemas(),
                "Event": {"oneOf": [event_schema(event_type) for event_type in event_types(catalogue)]},
                "Refusal": _object({"code": {"type": "string"}, "message": {"type": "string"}}, ["code", "message"]),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _base(public_url: str | None) -> str:
    parts = urlsplit(public_url or "ws://localhost:8090/api/swim/v1/ws")
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.removesuffix('/').removesuffix('/ws')}"


def _filters() -> list[JsonObject]:
    found = [_parameter(name, {"type": "array", "items": {"type": "string"}}, explode=False) for name in _LISTS]
    found += [_parameter(f"dep_window_{end}", {"type": "string", "format": "date-time"}) for end in ("start", "end")]
    box = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
    return [*found, _parameter("bbox", box, explode=False, description="north, south, east, west")]


def _parameter(name: str, schema: JsonObject, **more: object) -> JsonObject:
    return {"name": name, "in": "query", "required": False, "schema": schema, **more}


def _state(kind: str, text: str) -> JsonObject:
    formats = FORMATS if kind == "flights" else ("json", "ndjson", "csv")
    fields = {
        "as_of": dict(EVENT_ID),
        "count": {"type": "integer"},
        kind: {"type": "array", "items": {"type": "object"}},
    }
    content = {
        "application/json": {"schema": _object(fields, list(fields))},
        "application/x-ndjson": {},
        "text/csv": {},
    }
    if kind == "flights":
        content["application/geo+json"] = {}
    return {
        "operationId": kind,
        "summary": f"{text} as of now, filtered.",
        "parameters": [*_filters(), _parameter("format", {"enum": list(formats)})],
        "responses": {
            "200": _answer("The state as of the event named in X-SWIM-As-Of.", content, as_of=True),
            "304": {"description": "Not modified."},
            **_refusals(),
        },
    }


def _flight() -> JsonObject:
    where = {
        "name": "flight",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "description": "uid or callsign",
    }
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "flight",
        "summary": "One flight, by uid or callsign.",
        "parameters": [where, _parameter("format", {"enum": list(FORMATS)})],
        "responses": {"200": _answer("The flight.", content, as_of=True), **_refusals("404")},
    }


def _history() -> JsonObject:
    events = {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
    fields = {
        "next_after": dict(EVENT_ID),
        "is_last": {"type": "boolean"},
        "gap": {"type": "boolean"},
        "epoch": {"type": "string"},
        "events": events,
    }
    return {
        "operationId": "history",
        "summary": "A page of stored events.",
        "parameters": [
            *_filters(),
            *_places(),
            _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
        ],
        "responses": {
            "200": _answer("A page.", {"application/json": {"schema": _object(fields, list(fields))}}),
            **_refusals(),
        },
    }


def _places() -> list[JsonObject]:
    return [
        _parameter("channels", {"type": "array", "items": {"type": "string"}}, explode=False),
        _parameter("after", dict(EVENT_ID)),
        _parameter("epoch", {"type": "string"}, description="the order of events that after is an id of"),
        _parameter("since", {"type": "string", "format": "date-time"}),
    ]


def _publish() -> JsonObject:
    fields = {
        "type": {"type": "string"}, "data": {"type": "object"}, "timestamp": {"type": "string", "format": "date-time"},
        "event_id": {"type": "string", "minLength": 1, "maxLength": 128},
    }  # fmt: skip
    body = {"application/json": {"schema": _object(fields, ["type", "data"])}, "application/x-ndjson": {}}
    return {
        "operationId": "publish",
        "summary": "Publish events; needs a key of the system tier. The answer has one line per stored event.",
        "requestBody": {"required": True, "content": body},
        "responses": {
            "200": _answer("All events were stored.", {"application/x-ndjson": {}}),
            **_refusals("403", "413"),
        },
    }


def _stream() -> JsonObject:
    last = _parameter("last", {"type": "integer", "minimum": 1})
    seen = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": dict(EVENT_ID)}
    return {
        "operationId": "stream",
        "summary": "Server-sent events: each has the event's id, its type and the event.",
        "parameters": [*_filters(), *_places(), last, seen],
        "responses": {"200": _answer("A stream.", {"text/event-stream": {}}), **_refusals()},
    }


def _ticket() -> JsonObject:
    fields = {"ticket": {"type": "string"}, "expires_in": {"type": "number"}}
    content = {"application/json": {"schema": _object(fields, list(fields))}}
    return {
        "operationId": "ticket",
        "summary": "A ticket for one WebSocket upgrade, as its query parameter ticket.",
        "responses": {"200": _answer("The ticket.", content), **_refusals()},
    }


def _open(name: str, text: str, content_type: str) -> JsonObject:
    return {
        "operationId": name,
        "summary": text,
        "security": [],
        "responses": {"200": _answer("OK.", {content_type: {}})},
    }


def _ready() -> JsonObject:
    found = _open("ready", "Whether the service is ready for clients, and if not, why.", "application/json")
    found["responses"]["503"] = _answer("Temporarily unavailable.", {"application/json": {}})
    return found


def _metrics() -> JsonObject:
    return {
        "operationId": "metrics",
        "summary": "Metrics for Prometheus; needs the operator's token, except from the machine itself.",
        "responses": {
            "200": _answer("The metrics.", {"text/plain": {}}),
            "401": _answer("The operator's token is missing or wrong.", {}),
        },
    }


def _answer(text: str, content: JsonObject, *, as_of: bool = False) -> JsonObject:
    headers = {
        "X-SWIM-As-Of": {"schema": dict(EVENT_ID)},
        "X-SWIM-Epoch": {"schema": {"type": "string"}},
        "ETag": {"schema": {"type": "string"}},
    }
    return {"description": text, "content": content, **({"headers": headers} if as_of else {})}


def _refusals(*more: str) -> JsonObject:
    texts = {
        **_REFUSALS,
        "403": "The key is not allowed to do this.",
        "404": "Not found.",
        "413": "The request body is too large.",
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {status: _answer(texts[status], dict(content)) for status in sorted({*_REFUSALS, *more})}


def _object(fields: JsonObject, required: list[str]) -> JsonObject:
    return {"type": "object", "properties": fields, "required": required}
