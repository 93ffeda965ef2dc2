"""Doctor at the gateway: only doctor receives its event, it counts against no limit, and it makes room for clients."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from support.gateway_rig import Client, Rig, message
from swim_server.config import DatabaseConfig, DropSourceConfig, RecordingSourceConfig, SimulatorSourceConfig
from swim_server.daemon.control.diagnostics import Diagnostics
from swim_server.daemon.control.promises import pace_seconds
from swim_server.daemon.database_name import describe_database
from swim_server.gateway.rpc import Rpc, RpcError
from swim_server.keys.format import Tier
from swim_server.keys.records import Granted
from swim_server.streaming.admission import TierLimit


def lend(rig: Rig, tier: Tier = Tier.DEVELOPER) -> tuple[int, str]:
    """A temporary key that the rig's authenticator knows."""
    ((key_id, api_key),) = rig.authenticator.probes.make(tier, 1, 60)
    record = rig.authenticator.probes.record(key_id)
    assert record is not None
    rig.authenticator.keys[api_key] = Granted(record)
    return key_id, api_key


def diagnostics(rig: Rig) -> Any:
    components = SimpleNamespace(
        workers=None,
        gateway=rig.gateway, hub=rig.hub, broker=rig.broker, authenticator=rig.authenticator, admission=rig.admission,
        endpoints=rig.context,
    )  # fmt: skip
    rpc = Rpc(rig.failures.append)
    Diagnostics(SimpleNamespace(components=components, is_handing_over=False)).register(rpc)

    def plain(method: Any) -> Any:
        async def call(params: Any) -> Any:
            return msgspec.to_builtins(await method(params))

        return call

    return {name: plain(method) for name, method in rpc.methods.items()}


async def put_in(rig: Rig, client: Client, token: str = "t") -> Any:
    found = await diagnostics(rig)["probe_event"](
        {"token": token, "connection": client.messages[0]["data"]["client_id"]}
    )
    rig.turn()
    return found


async def test_probe_reaches_the_doctors_connection_alone(rig: Rig) -> None:
    others = [rig.admitted() for _ in range(3)]
    others[0].send(message("subscribe", channels=["*"]))
    others[1].send(message("subscribe", channels=["system.*", "system.notice"]))
    _, api_key = lend(rig)
    doctor = rig.admitted(api_key).send(message("subscribe", channels=["system.notice"]))
    stored = await put_in(rig, doctor)
    event = doctor.messages[-1]
    assert (event["type"], event["id"], event["data"]["probe"]) == ("system.notice", stored["id"], "t")
    assert [client.types for client in others] == [["connected", "subscribed"]] * 2 + [["connected"]]


@pytest.mark.parametrize("channels", [["*"], ["system.notice"], ["system.*"]])
async def test_client_that_resumes_over_a_probe_does_not_get_it(rig: Rig, channels: list[str]) -> None:
    _, api_key = lend(rig)
    doctor = rig.admitted(api_key)
    await rig.publish("flight.created", callsign="BAW1")
    await put_in(rig, doctor)
    await rig.publish("system.notice", text="a real one")
    client = rig.admitted().send(message("subscribe", channels=channels, after="0-0"))
    await client.settle()
    assert all("probe" not in str(each) for each in client.messages)
    assert client.messages[-1]["data"] == {"text": "a real one"}


async def test_probe_without_a_connection_is_stored_for_nobody(rig: Rig) -> None:
    client = rig.admitted().send(message("subscribe", channels=["*"]))
    assert (await diagnostics(rig)["probe_event"]({"token": "t"}))["id"] == str(rig.broker.newest_id)
    rig.turn()
    assert client.types == ["connected", "subscribed"]


@pytest.mark.parametrize("channel", ["system.notice#probe", "#probe", "system.notice#*"])
def test_no_client_may_name_the_probes_channel(rig: Rig, channel: str) -> None:
    client = rig.admitted().send(message("subscribe", channels=[channel]))
    assert client.types == ["connected", "INVALID_CHANNEL"]


async def test_only_a_temporary_keys_connection_may_be_given_probes(rig: Rig) -> None:
    client = rig.admitted()
    with pytest.raises(RpcError, match="temporary key"):
        await put_in(rig, client)
    assert rig.broker.events == []


@pytest.mark.parametrize("token", [None, 7, "", "x" * 101])
async def test_token_must_be_a_short_text(rig: Rig, token: Any) -> None:
    with pytest.raises(RpcError, match="token"):
        await diagnostics(rig)["probe_event"]({"token": token})


async def test_announced_key_counts_against_no_address(rig: Rig) -> None:
    rig.authenticator.is_slow = True
    for number in range(30):
        api_key = f"made-up-{number}"
        rig.authenticator.probes.announce(hashlib.sha256(api_key.encode()).digest(), 60)
        client = rig.admitted(api_key)
        await client.settle()
        rig.authenticator.answer_next()
        await client.settle()
        assert client.close_code == 4001
    assert rig.refusals.retry_after("192.0.2.7") is None
    assert not rig.refusals.counts


async def test_full_tier_lets_a_client_in_in_place_of_the_doctor() -> None:
    rig = await Rig({"public": TierLimit(2), **dict.fromkeys(("developer", "partner", "system"), TierLimit(5))}).open()
    _, api_key = lend(rig, Tier.PUBLIC)
    doctors = [rig.admitted(api_key) for _ in range(2)]
    assert rig.admitted(api_key).types == ["CONNECTION_LIMIT"]
    first, second, third = (rig.admitted("pub") for _ in range(3))
    assert [client.types for client in (first, second, third)] == [["connected"], ["connected"], ["CONNECTION_LIMIT"]]
    assert [client.close_code for client in doctors] == [4002, 4002]
    assert rig.admission.current("public") == 2
    assert rig.refusals.counts == {"limit": 1}
    await rig.close()


async def test_temporary_connections_end_with_their_key(rig: Rig) -> None:
    key_id, api_key = lend(rig)
    client, other = rig.admitted(api_key), rig.admitted()
    assert await diagnostics(rig)["probe_keys_end"]({"ids": [key_id]}) == {"closed": 1}
    rig.turn()
    assert (rig.admission.current("developer"), client.endpoint.is_open, other.endpoint.is_open) == (1, False, True)


@pytest.mark.parametrize("ids", [None, [1], ["x"], [-1], 7])
async def test_other_keys_can_not_be_ended_so(rig: Rig, ids: Any) -> None:
    with pytest.raises(RpcError, match="temporary"):
        await diagnostics(rig)["probe_keys_end"]({"ids": ids})


async def test_tally_counts_clients_in_every_way_and_leaves_the_doctor_out(rig: Rig) -> None:
    _, api_key = lend(rig)
    rig.admitted()
    rig.admitted("pub").endpoint.abort()
    rig.turn()
    rig.admitted(api_key)
    found = await diagnostics(rig)["tally"]({})
    assert (found["made"], found["gone"], found["public"], found["closing"]) == (3, 1, 2, 0)
    assert (found["admitted"]["developer"], found["listed"]) == (2, {"developer": 2})
    assert found["keys"] == [{"key_id": 1, "tier": "developer", "owner": "somebody", "connections": 1}]


@pytest.mark.parametrize(
    "params",
    [{}, {"tier": "gold"}, {"tier": "public", "count": 0}, {"tier": "public", "count": "1"},
     {"tier": "public", "seconds": 0}, {"tier": "public", "seconds": 1e9}, {"tier": "public", "count": 10**9}],
    ids=range(7),
)  # fmt: skip
async def test_keys_are_lent_within_bounds(rig: Rig, params: Any) -> None:
    with pytest.raises(RpcError):
        await diagnostics(rig)["probe_keys"](params)


@pytest.mark.parametrize("value", ["", "zz", "ab", None])
async def test_only_a_digest_can_be_announced(rig: Rig, value: Any) -> None:
    with pytest.raises(RpcError):
        await diagnostics(rig)["probe_refusal"]({"digest": value})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (DatabaseConfig(), "sqlite:////home/swim.db"),
        (DatabaseConfig(url="mssql+pyodbc://sa:secret@db/swim?driver=x&PWD=secret"), "mssql+pyodbc://db/swim"),
        (DatabaseConfig(odbc="Driver={x};Server=db,1433;UID=sa;PWD={a;server=cret}"), "odbc Server=db,1433"),
        (DatabaseConfig(url="://"), "a database whose url can't be read"),
    ],
    ids=range(4),
)  # fmt: skip
def test_database_is_named_without_its_secrets(config: DatabaseConfig, told: str) -> None:
    assert describe_database(config, "/home/swim.db") == told


def test_pace_of_a_source_is_its_interval_or_its_longest_step() -> None:
    assert pace_seconds(DropSourceConfig(path="x", interval_seconds=7)) == 7
    assert pace_seconds(RecordingSourceConfig(path="x", speed=10)) == 30
    assert pace_seconds(SimulatorSourceConfig()) == 1
