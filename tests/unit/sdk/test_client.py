"""The client before it runs: its settings and what it refuses."""

from __future__ import annotations

import pytest
from swim_client import SWIMClient
from swim_client.opening import shown


def test_the_address_comes_from_the_argument_the_environment_or_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWIM_URL", raising=False)
    assert SWIMClient("key").url == "ws://127.0.0.1:8090/api/swim/v1/ws"
    monkeypatch.setenv("SWIM_URL", "wss://swim.example.net/api/swim/v1/ws")
    assert SWIMClient("key").url == "wss://swim.example.net/api/swim/v1/ws"
    assert SWIMClient("key", "ws://localhost:1").url == "ws://localhost:1"


@pytest.mark.parametrize("url", ["http://example.net", "example.net:8090", "ws://", "ws:///path", "wss:"])
def test_what_is_no_websocket_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a WebSocket address"):
        SWIMClient("key", url)


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("wss://me:pw@example.net:8090/ws?api_key=secret#x") == "wss://example.net:8090/ws"


@pytest.mark.parametrize(
    "setting",
    [
        {"reconnect_interval": 0},
        {"max_reconnect_interval": -1},
        {"ping_interval": 0},
        {"messages_per_second": 0},
        {"max_queued_events": 0},
    ],
)
def test_a_setting_out_of_range_is_named(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))}: must be more than 0"):
        SWIMClient("key", **setting)  # type: ignore[arg-type]  # a wrong setting is the test


def test_it_is_not_connected_before_it_runs() -> None:
    client = SWIMClient("key")
    assert not client.connected
    assert client.client_id is None
    assert client.last_event_id is None


def test_subscribing_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        SWIMClient("key").subscribe([])


async def test_run_inside_a_loop_says_what_to_call_instead() -> None:
    with pytest.raises(RuntimeError, match=r"await client\.run_async"):
        SWIMClient("key").run()
