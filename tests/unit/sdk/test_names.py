"""Classes and methods of the SDKs have the names that programs of the former SDKs use, and one another's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from swim_client import FlightMirror, SWIMClient

SDK = Path(__file__).parents[3] / "sdk"
JAVA = SDK / "java/src/main/java/org/vatsim/swim"
JAVA_SIGNATURES = [
    "SwimWebSocketClient(String apiKey)", "SwimWebSocketClient(String apiKey, String wsUrl)",
    "SwimWebSocketClient on(String eventType, BiConsumer<JsonNode, String> handler)", "void off(String eventType)",
    "void connect()", "CompletableFuture<Void> connectAsync()", "void disconnect()",
    "CompletableFuture<JsonNode> subscribe(List<String> channels)",
    "CompletableFuture<JsonNode> subscribe(List<String> channels, Map<String, ?> filters)",
    "void unsubscribe(List<String> channels)", "CompletableFuture<JsonNode> ping()", "boolean isConnected()",
    "String getClientId()", "void setAutoReconnect(boolean enabled)", "void setReconnectDelay(int delayMs)",
    "FlightMirror flights()",
]  # fmt: skip
CSHARP_EVENTS = [
    "OnConnected", "OnFlightCreated", "OnFlightUpdated", "OnFlightDeparted", "OnFlightArrived", "OnFlightDeleted",
    "OnFlightPositions", "OnTmiIssued", "OnTmiModified", "OnTmiReleased", "OnHeartbeat", "OnError", "OnDisconnected",
]  # fmt: skip
CSHARP_METHODS = [
    "ConnectAsync", "SubscribeAsync", "UnsubscribeAsync", "PingAsync", "RunAsync", "DisconnectAsync", "DisposeAsync",
    "SnapshotAsync",
]  # fmt: skip
JAVASCRIPT_METHODS = [
    "on", "off", "connect", "disconnect", "subscribe", "unsubscribe", "ping", "status", "events", "publish", "snapshot",
]  # fmt: skip
MIRROR = {
    "python": ["by_callsign", "where", "snapshot", "on_change", "as_of", "complete"],
    "javascript/src/flights.js": ["byCallsign", "where", "snapshot", "onChange", "asOf", "isComplete", "complete"],
    "java/src/main/java/org/vatsim/swim/FlightMirror.java": [
        "byCallsign", "where", "snapshot", "onChange", "asOf", "isComplete", "complete",
    ],
    "csharp/SwimClient/FlightMirror.cs": [
        "ByCallsign", "Where", "Snapshot", "OnChange", "AsOf", "IsComplete", "Complete",
    ],
}  # fmt: skip


def text(path: str) -> str:
    return re.sub(r"\s+", " ", (SDK / path).read_text("utf-8"))


@pytest.mark.parametrize("signature", JAVA_SIGNATURES)
def test_java_has_the_former_methods(signature: str) -> None:
    assert f"public {signature}" in text("java/src/main/java/org/vatsim/swim/SwimWebSocketClient.java")


@pytest.mark.parametrize("name", CSHARP_EVENTS)
def test_csharp_has_the_former_events(name: str) -> None:
    assert re.search(rf"public event EventHandler\S* {name};", text("csharp/SwimClient/SwimWebSocketClient.cs"))


@pytest.mark.parametrize("name", CSHARP_METHODS)
def test_csharp_has_the_former_methods(name: str) -> None:
    assert re.search(rf"public (async )?(Value)?Task\S* {name}\(", text("csharp/SwimClient/SwimWebSocketClient.cs"))


def test_csharp_is_constructed_as_formerly() -> None:
    assert (
        "public SwimWebSocketClient( string apiKey, string wsUrl = null, TimeSpan? reconnectInterval = null,"
        " bool autoReconnect = true)" in text("csharp/SwimClient/SwimWebSocketClient.cs")
    )
    assert "not built" in text("csharp/SwimClient/SwimClient.csproj").lower()


@pytest.mark.parametrize("name", JAVASCRIPT_METHODS)
def test_javascript_has_the_former_methods_and_their_types(name: str) -> None:
    assert re.search(rf" (async )?\*?{name}\(", text("javascript/src/client.js"))
    assert re.search(rf" {name}[(<]", text("javascript/types/index.d.ts"))


@pytest.mark.parametrize("name", ["isConnected", "getClientId"])
def test_script_tag_client_has_the_former_methods(name: str) -> None:
    assert f" {name}()" in text("javascript/src/script.js")


@pytest.mark.parametrize(
    "name",
    [
        "on", "add_handler", "subscribe", "unsubscribe", "run", "run_async", "connect", "disconnect", "stop", "ping",
        "status", "publish", "events", "snapshot", "connected", "client_id",
    ],
)  # fmt: skip
def test_python_has_the_methods(name: str) -> None:
    assert hasattr(SWIMClient, name)


@pytest.mark.parametrize("path", MIRROR)
def test_mirrors_have_the_same_names(path: str) -> None:
    for name in MIRROR[path]:
        assert hasattr(FlightMirror, name) if path == "python" else re.search(rf"\b{name}\b", text(path)), name
