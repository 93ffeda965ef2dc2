"""The documents hold against the official schemas, and every message of a whole conversation against the document."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate as validate_openapi
from support.daemon import measuring
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.packages import require_npm_package
from support.wire_client import WireClient, dial, open_client
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.payloads import PAYLOADS
from swim_server.protocol.schema.asyncapi import asyncapi_document
from swim_server.protocol.schema.components import event_types
from swim_server.protocol.schema.openapi import openapi_document

ASYNCAPI_SPECS = "6.11.1"
DOCUMENT = asyncapi_document(Catalogue(), None)


def validator(name: str) -> jsonschema.protocols.Validator:
    """What judges one message of the document."""
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]}
    found: jsonschema.protocols.Validator = jsonschema.Draft202012Validator(schema)
    return found


def faults(name: str, message: dict[str, Any]) -> list[str]:
    return [f"{name}: {error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(message)]


def name_of(message: dict[str, Any]) -> str:
    """The document's name of a message that a server sends."""
    names = {
        "connected": "Connected", "subscribed": "Subscribed", "unsubscribed": "Unsubscribed", "pong": "Pong",
        "status": "StatusAnswer", "publish_ack": "PublishAck", "explained": "Explained", "error": "ErrorMessage",
        "state": "StatePart", "state.entered": "StateEntered", "state.left": "StateLeft",
    }  # fmt: skip
    kind = message["type"]
    if kind in names:
        return names[kind]
    (key,) = [key for key in Catalogue().keys(kind) if key in Catalogue().types][:1]
    return key.replace("*", "any")


def test_asyncapi_document_holds_against_the_official_schema() -> None:
    folder = require_npm_package("@asyncapi/specs", ASYNCAPI_SPECS)
    schema = json.loads((folder / "@asyncapi/specs" / "schemas" / "3.1.0.json").read_text("utf-8"))
    for url in (None, "wss://swim.example.org/api/swim/v1/ws"):
        jsonschema.validate(asyncapi_document(Catalogue({"weather": ["metar"]}), url), schema)


def test_openapi_document_holds_against_the_official_schema() -> None:
    for url in (None, "wss://swim.example.org/api/swim/v1/ws"):
        validate_openapi(openapi_document(Catalogue(), url))


@pytest.mark.parametrize(("format", "version"), [("asyncapi", "3.1.0"), ("openapi", "3.1.0")])
def test_command_prints_the_document(tmp_path: Path, format: str, version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "schema", "--format", format],
        env={"SWIM_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": "", **measuring()},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)[format] == version


def test_every_event_type_has_its_message() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert {event_type.replace("*", "any") for event_type in event_types(Catalogue())} <= messages.keys()
    assert {payload.__name__ for payload in PAYLOADS.values()} <= DOCUMENT["components"]["schemas"].keys()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    limits = "[tiers.system]\nmessages_per_second = 1000\n"
    with live_daemon(tmp_path_factory.mktemp("schema"), config=limits) as running:
        yield running


BOX = {"north": 50, "south": 30, "east": 0, "west": -90}
ASKED: tuple[dict[str, Any], ...] = (
    {"action": "subscribe", "channels": ["*"], "filters": {"airports": ["KJFK"], "callsign_prefix": []}, "state": True},
    {"action": "subscribe", "channels": ["flight.*"], "filters": {"bbox": BOX}},
    {"action": "subscribe", "channels": ["tmi.*"], "last": 5, "max_message_bytes": 8192, "notices": True},
    {"action": "ping"},
    {"action": "status"},
    {"action": "explain", "event": {"type": "flight.created", "data": {"dep": "KJFK"}}},
    {"action": "unsubscribe", "channels": ["tmi.*"]},
)  # fmt: skip
REFUSED: tuple[dict[str, Any], ...] = (
    {"action": "subscribe", "channels": []},
    {"action": "subscribe", "channels": "flight.*"},
    {"action": "subscribe", "channels": ["flight.*"], "state": "always"},
    {"action": "subscribe", "channels": ["flight.*"], "last": -1},
    {"action": "subscribe", "channels": ["flight.*"], "filters": {"bbox": {**BOX, "north": 100}}},
    {"action": "publish", "channel": "system.notice", "data": []},
    {"action": "fly"},
)  # fmt: skip
CLIENT_NAMES = {
    "subscribe": "SubscribeMessage", "unsubscribe": "UnsubscribeMessage", "ping": "PingMessage",
    "status": "StatusRequest", "publish": "PublishMessage", "explain": "ExplainMessage",
}  # fmt: skip


@pytest.mark.parametrize("message", ASKED, ids=lambda message: message["action"])
def test_what_clients_may_ask_holds_against_the_document(message: dict[str, Any]) -> None:
    assert faults(CLIENT_NAMES[message["action"]], message) == []


@pytest.mark.parametrize("message", REFUSED, ids=lambda message: json.dumps(message)[:60])
def test_what_the_server_refuses_the_document_refuses_too(message: dict[str, Any]) -> None:
    name = CLIENT_NAMES.get(message["action"])
    assert name is None or faults(name, message)


async def test_whole_conversation_holds_against_the_document_both_ways(daemon: LiveDaemon) -> None:
    key = daemon.make_key("system").api_key
    client = await open_client(daemon.url, key)
    try:
        received = [await client.next()]
        place = {"latitude": 40.5, "longitude": -73.5}
        flight = {"callsign": "DAL1", "flight_uid": 1, "dep": "KJFK", "arr": "EGLL"}
        published = (
            ("flight.created", {**flight, **place}), ("flight.positions", {"positions": [{**flight, **place}]}),
            ("flight.updated", {**flight, "dep": "KLAX", "changed": ["dep"]}),
            ("tmi.issued", {"program_id": 1, "airport": "KJFK"}),
            ("tmi.program.published", {"airport": "KJFK"}), ("splits.activated", {"artcc": "ZNY", "config_id": 1}),
            ("flight.deleted", flight),
        )  # fmt: skip
        for message in ASKED[:1]:
            await client.send(message)
        for event_type, data in published:
            await client.send({"action": "publish", "channel": event_type, "data": data})
        while sum(message["type"] == "publish_ack" for message in received) < len(published):
            received.append(await client.next())
        for message in (*ASKED[1:], *REFUSED):
            await client.send(message)
        await client.send({"action": "unsubscribe"})
        received += await _until_all_gone(client)
    finally:
        await client.connection.close()
    kinds = {message["type"] for message in received}
    assert {
        "connected", "subscribed", "unsubscribed", "pong", "status", "publish_ack", "explained", "error", "state",
        "state.left", "flight.created", "tmi.program.published",
    } <= kinds  # fmt: skip
    assert [fault for message in received for fault in faults(name_of(message), message)] == []


async def _until_all_gone(client: WireClient) -> list[dict[str, Any]]:
    received = []
    while True:
        message = await client.next()
        received.append(message)
        if message["type"] == "unsubscribed" and message["channels"] == ["all"]:
            return received


RECORDED = Path(__file__).parents[3] / "shared" / "data" / "vatsim"


@pytest.mark.parametrize("source", ["simulator", "recording"])
async def test_events_of_real_traffic_hold_against_the_document(tmp_path: Path, source: str) -> None:
    if source == "recording" and not RECORDED.exists():
        pytest.skip("the recorded traffic is not here")
    days = sorted(each for each in RECORDED.iterdir() if each.is_dir()) if source == "recording" else []
    words = "simulator?flights=100&speed=60" if not days else f"recording:{days[0]}?speed=100&loop=false"
    with live_daemon(tmp_path, sources=[words]) as daemon:
        await asyncio.to_thread(
            await_true, lambda: daemon.call("status")["events_published"] >= 30, seconds=120, what="traffic"
        )
        async with dial(daemon.url, daemon.make_key().api_key) as client:
            await client.subscribe("*", last=30)
            events = await client.events(30)
    assert [fault for event in events for fault in faults(name_of(event), event)] == []
