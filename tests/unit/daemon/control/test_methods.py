"""The methods of the control socket: what they answer, and what they refuse in which words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import pytest
from support.gateway_rig import Rig, message
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.config import Config, ConfigError, LoadedConfig, ServerConfig
from swim_server.config.errors import Problem
from swim_server.daemon.control.documents.process import Reloaded
from swim_server.daemon.control.methods import MAX_EVENTS, RESTART_FAILED, Methods
from swim_server.daemon.fingerprint import Fingerprint
from swim_server.daemon.handover.predecessor import HandoverFailed
from swim_server.daemon.home import Home
from swim_server.daemon.launch import Launch
from swim_server.daemon.lockfile import LockInfo
from swim_server.daemon.running_config import RunningConfig
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, Rpc, RpcError
from swim_server.protocol.events import NewEvent
from swim_server.sql.errors import StoreUnavailable

INFO = LockInfo(
    pid=2, process_started=1.0, host="h", started_at="t", version="0.1.0", fingerprint="f", commit="c0ffee",
    python="3.11.7", url="ws://x",
)  # fmt: skip
T = TypeVar("T")


class RunningProcess:
    """What the methods call, around a gateway without sockets."""

    def __init__(self, rig: Rig) -> None:
        self.components: Any = SimpleNamespace(
            workers=None,
            gateway=rig.gateway,
            hub=rig.hub,
            broker=rig.broker,
            admission=rig.admission,
            conversation=rig.context.conversation,
            config=RunningConfig(LoadedConfig(Config(server=ServerConfig(port=1)), {}, ())),
            home=Home(Path("/nowhere")),
            authenticator=SimpleNamespace(look_up=self._look_up),
            cluster=None,
        )
        self.info = INFO
        self.launch = Launch()
        self.fingerprint = Fingerprint(
            "f",
            {"swim_server/logs.py": "0" * 64},
            roots={"swim_server": "/srv/swim_server"},
            dependencies={"msgspec": "0.19"},
        )
        self.is_handing_over = False
        self.failure: Exception | None = None
        self.stops = 0

    async def _look_up(self, key_ids: object) -> dict[int, object]:
        return {}

    def request_stop(self) -> None:
        self.stops += 1

    async def restart(self, wanted: object = None) -> LockInfo:
        return self._or_fail(INFO)

    async def reload(self) -> Reloaded:
        return self._or_fail(Reloaded())

    async def key_changed(self, key_id: int, *, seconds: float = 0.0) -> int:
        return self._or_fail(3)

    def _or_fail(self, answer: T) -> T:
        if self.failure is not None:
            raise self.failure
        return answer


@pytest.fixture
async def service(rig: Rig) -> RunningProcess:
    return RunningProcess(rig)


async def _call(service: Any, method: str, **params: Any) -> Any:
    """Answer as plain values, as they go over the control socket."""
    rpc = Rpc(lambda error: None)
    Methods(service, service).register(rpc)
    return msgspec.to_builtins(await rpc.methods[method](params))


async def _refusal(service: Any, method: str, **params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await _call(service, method, **params)
    return caught.value


async def test_stop_is_begun_before_it_is_answered(service: RunningProcess) -> None:
    assert await _call(service, "stop") == {"stopping": True}
    assert service.stops == 1


async def test_version_tells_what_runs(service: RunningProcess) -> None:
    answer = await _call(service, "version")
    assert answer == {
        "version": "0.1.0",
        "fingerprint": "f",
        "commit": "c0ffee",
        "python": "3.11.7",
        "files": {"swim_server/logs.py": "0" * 64},
        "roots": {"swim_server": "/srv/swim_server"},
        "dependencies": {"msgspec": "0.19"},
        "pid": 2,
    }
    assert (await _call(service, "config"))["server"]["port"] == 1


async def test_restart_that_fails_tells_the_new_processs_last_words(service: RunningProcess) -> None:
    assert (await _call(service, "restart"))["pid"] == 2
    service.failure = HandoverFailed("ended with code 1", 1, ["line 12"])
    error = await _refusal(service, "restart")
    assert error.code == RESTART_FAILED
    assert "line 12" in error.message
    assert error.data == {"exit_code": 1, "output": ["line 12"], "log": "/nowhere/swim.log"}


async def test_reload_of_an_invalid_file_is_refused(service: RunningProcess) -> None:
    service.failure = ConfigError([Problem("server.prot", "no such setting")])
    error = await _refusal(service, "reload")
    assert (error.code, error.data) == (INVALID_PARAMS, {"code": "INVALID_CONFIGURATION"})


# Publishing.


def _row(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "flight.created", "data": {"callsign": f"BAW{number}"}, **fields}


async def test_published_events_are_answered_by_their_ids_in_order(service: RunningProcess) -> None:
    answer = await _call(service, "publish", events=[_row(1, event_id="a"), _row(2), _row(1, event_id="a")])
    first, second, third = answer["published"]
    assert [each["duplicate"] for each in (first, second, third)] == [False, False, True]
    assert first["id"] == third["id"] != second["id"]
    assert [str(event.id) for event in service.components.broker.events] == [first["id"], second["id"]]


async def test_timestamp_of_a_published_event_is_kept(service: RunningProcess) -> None:
    await _call(service, "publish", events=[_row(1, timestamp="2026-01-16T14:30:15.5Z")])
    assert b'"timestamp":"2026-01-16T14:30:15.500Z"' in service.components.broker.events[0].wire


@pytest.mark.parametrize(
    "row",
    [
        7,
        None,
        {},
        {"type": "flight.created"},
        {"type": "flight.created", "data": []},
        {"type": 7, "data": {}},
        {"type": "flight.departd", "data": {}},
        {"type": "flight.*", "data": {}},
        {"type": "system.heartbeat", "data": {}},
        _row(1, timestamp="yesterday"),
        _row(1, event_id=7),
    ],
)
async def test_one_invalid_event_is_named_and_none_is_stored(service: RunningProcess, row: Any) -> None:
    error = await _refusal(service, "publish", events=[_row(1), _row(2), row, _row(3)])
    assert error.code == INVALID_PARAMS
    assert error.data is not None
    assert (error.data["index"], error.data["code"]) == (2, "INVALID_PUBLISH")
    assert service.components.broker.events == []


@pytest.mark.parametrize("events", [None, [], {}, "x", [_row(1)] * (MAX_EVENTS + 1)])
async def test_events_must_be_a_list_of_some_but_not_too_many(service: RunningProcess, events: Any) -> None:
    assert (await _refusal(service, "publish", events=events)).code == INVALID_PARAMS


class RefusingBroker:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def publish(self, events: list[NewEvent], *, durable: bool = False) -> list[Published]:
        raise self.error


async def test_history_that_cannot_be_written_is_told_as_passing(service: RunningProcess) -> None:
    service.components.broker = RefusingBroker(BrokerUnavailable("no space left on device"))
    error = await _refusal(service, "publish", events=[_row(1)])
    assert error.code == UNAVAILABLE
    assert "no space left" in error.message


async def test_event_that_history_cannot_hold_is_named(service: RunningProcess) -> None:
    service.components.broker = RefusingBroker(InvalidEvent(1, "no JSON"))
    error = await _refusal(service, "publish", events=[_row(1), _row(2)])
    assert error.code == INVALID_PARAMS
    assert error.data == {"index": 1, "code": "INVALID_PUBLISH"}


# Connections and keys.


async def test_connections_are_listed_with_what_they_have(rig: Rig, service: RunningProcess) -> None:
    client = rig.admitted("dev").send(message("subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]}))
    rig.admitted("pub")
    rig.local_client()
    (listed,) = (await _call(service, "connections", tier="developer"))["connections"]
    assert listed["id"] == client.messages[0]["data"]["client_id"]
    assert listed["channels"] == ["flight.*"]
    assert listed["filters"] == {"airports": ["KJFK"]}
    assert (listed["key_id"], listed["tier"], listed["remote"]) == (1, "developer", "192.0.2.7")
    assert listed["connected_at"] == "2026-01-16T14:30:15.123Z"
    assert len((await _call(service, "connections"))["connections"]) == 3
    assert len((await _call(service, "connections", tier="local"))["connections"]) == 1
    assert len((await _call(service, "connections", key_id=2))["connections"]) == 1
    assert (await _call(service, "connections", key_id=99))["connections"] == []


async def test_connection_is_closed_by_its_id(rig: Rig, service: RunningProcess) -> None:
    client = rig.admitted("dev")
    identifier = client.messages[0]["data"]["client_id"]
    assert await _call(service, "connection_close", id=identifier) == {"closed": True}
    assert client.close_code == 1012
    others: list[object] = [identifier, "client_0000000000000000", None, 7, []]
    for other in others:
        assert await _call(service, "connection_close", id=other) == {"closed": False}


async def test_live_keys_are_counted_by_id(rig: Rig, service: RunningProcess) -> None:
    for key in ("dev", "dev", "pub"):
        rig.admitted(key)
    assert await _call(service, "live_keys") == {"1": 2, "2": 1}


async def test_changed_key_is_asked_for_by_number(service: RunningProcess) -> None:
    assert await _call(service, "key_changed", key_id=5) == {
        "closed": 3,
        "state": "missing",
        "silent_nodes": [],
    }
    for wrong in (None, "5", 5.5):
        assert (await _refusal(service, "key_changed", key_id=wrong)).code == INVALID_PARAMS
    service.failure = StoreUnavailable("away")
    assert (await _refusal(service, "key_changed", key_id=5)).code == UNAVAILABLE
