"""The wire protocol as an AsyncAPI 3.1 document."""

from __future__ import annotations

from urllib.parse import urlsplit

from swim_server.protocol.channels import Catalogue
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.messages import PROTOCOL_VERSION
from swim_server.protocol.schema.components import REF, event_schema, event_types, schemas
from swim_server.protocol.schema.wire_types import CLIENT_MESSAGES, SERVER_MESSAGES

CHANNEL = "stream"
DEFAULT_PATH = "/api/swim/v1/ws"


def asyncapi_document(catalogue: Catalogue, public_url: str | None) -> JsonObject:
    """Generate it from the message types and the event types that this service knows."""
    to_server = {each.__name__: _message(each.__name__, each.__doc__) for each in CLIENT_MESSAGES}
    to_client = {each.__name__: _message(each.__name__, each.__doc__) for each in SERVER_MESSAGES}
    events = {_name(event_type): _event(event_type) for event_type in event_types(catalogue)}
    messages = to_server | to_client | events
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "SWIM: flights and traffic management, as they happen",
            "version": PROTOCOL_VERSION,
            "description": "One JSON object in each text frame, both ways. Ignore unknown fields.",
        },
        "defaultContentType": "application/json",
        "servers": {"service": _server(public_url)},
        "channels": {
            CHANNEL: {
                "address": DEFAULT_PATH,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "ask": _operation("receive", "Requests of clients.", to_server),
            "tell": _operation("send", "Answers, and the events of the subscribed channels.", to_client | events),
        },
        "components": {
            "messages": messages,
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The API key."},
                "query": {"type": "httpApiKey", "name": "api_key", "in": "query", "description": "For browsers."},
            },
        },
    }


def _server(public_url: str | None) -> JsonObject:
    parts = urlsplit(public_url or "ws://localhost:8090")
    return {
        "host": parts.netloc.rpartition("@")[2],
        "protocol": parts.scheme,
        "security": [{"$ref": "#/components/securitySchemes/bearer"}, {"$ref": "#/components/securitySchemes/query"}],
    }


def _message(name: str, text: str | None) -> JsonObject:
    return {"name": name, "summary": (text or "").strip(), "payload": {"$ref": REF.format(name=name)}}


def _event(event_type: str) -> JsonObject:
    return {"name": event_type, "title": event_type, "payload": event_schema(event_type)}


def _name(event_type: str) -> str:
    """Return the name of an event's message: letters, digits, dots, dashes and underscores."""
    return event_type.replace("*", "any")


def _operation(action: str, text: str, messages: JsonObject) -> JsonObject:
    return {
        "action": action,
        "summary": text,
        "channel": {"$ref": f"#/channels/{CHANNEL}"},
        "messages": [{"$ref": f"#/channels/{CHANNEL}/messages/{name}"} for name in messages],
    }
