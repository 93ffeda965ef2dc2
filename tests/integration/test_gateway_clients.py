"""The protocol end to end: a real daemon, and third-party clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import WireClient, dial, open_client, try_to_connect
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_synchronously

CONFIG = """
[server]
heartbeat_seconds = 0.5
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("daemon"), config=CONFIG) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def keys(daemon: LiveDaemon) -> dict[str, str]:
    """One key a tier."""
    return {tier: daemon.api_key(tier) for tier in ("public", "developer", "partner", "system")}


@pytest.fixture(autouse=True)
def _everybody_left(daemon: LiveDaemon) -> Iterator[None]:
    yield
    await_true(lambda: not any(daemon.counted().values()), what="the end of the test's connections")


# Getting in.


@pytest.mark.parametrize("path", ["/", "/api/swim/v1/ws", "/api/swim/v1/ws/", "/ws/swim/v1", "/ws/swim/v1/"])
@pytest.mark.parametrize("name", ["api_key", "apiKey", "key"])
async def test_every_path_and_query_name_lead_in(
    daemon: LiveDaemon, keys: dict[str, str], path: str, name: str
) -> None:
    url = f"ws://127.0.0.1:{daemon.port}{path}?{name}={keys['developer']}"
    assert await try_to_connect(url) == (["connected"], None)


@pytest.mark.parametrize("header", ["Authorization", "authorization", "X-SWIM-API-Key", "x-api-key"])
async def test_every_header_leads_in(daemon: LiveDaemon, keys: dict[str, str], header: str) -> None:
    value = f"Bearer {keys['developer']}" if header.lower() == "authorization" else keys["developer"]
    assert await try_to_connect(daemon.url, headers={header: value}) == (["connected"], None)


async def test_greeting_says_who_where_and_how_often(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["partner"]) as client:
        greeting = client.received[0]["data"]
        assert greeting["client_id"].startswith("client_")
        assert len(greeting["client_id"]) == len("client_0123456789abcdef")
        assert (greeting["tier"], greeting["heartbeat_interval"], greeting["version"]) == ("partner", 0.5, "1.0.0")
        (listed,) = daemon.call("connections", {"tier": "partner"})["connections"]
        assert listed["id"] == greeting["client_id"]


def test_synchronous_client_is_served(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    with connect_synchronously(f"{daemon.url}?api_key={keys['developer']}", proxy=None) as client:
        assert json.loads(client.recv(10))["type"] == "connected"
        client.send(json.dumps({"action": "subscribe", "channels": ["flight.*"]}))
        assert json.loads(client.recv(10))["type"] == "subscribed"
        daemon.put(("flight.created", {"callsign": "BAW1"}))
        event = json.loads(client.recv(10))
        assert (event["type"], event["data"]) == ("flight.created", {"callsign": "BAW1"})
        assert client.ping().wait(10)


@pytest.mark.parametrize(
    "key",
    [
        "invalid_key",
        "swim_dev_0123456789abcdefghijklmnopqrstuvwxyz00",
        "swim_dev_hp_test",
        "sha256$47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        "' OR 1=1 --",
        "x" * 4000,
        "schlüssel",
    ],
)
async def test_bad_key_is_told_auth_failed_then_4001(daemon: LiveDaemon, key: str) -> None:
    """Each from an address of its own: who guesses is slowed down."""
    headers = {"X-API-Key": key, "X-Forwarded-For": f"198.51.100.{len(key) % 250}"}
    assert await try_to_connect(daemon.url, headers=headers) == (["AUTH_FAILED"], 4001)


async def test_missing_key_is_told_auth_failed_then_4001(daemon: LiveDaemon) -> None:
    client = await open_client(daemon.url, headers={"X-Forwarded-For": "198.51.100.251"})
    error = await client.next()
    assert (error["type"], error["code"], error["data"]["code"]) == ("error", "AUTH_FAILED", "AUTH_FAILED")
    assert (await client.closed())[0] == 4001


async def test_key_never_stands_in_the_log(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    await try_to_connect(daemon.url, key=keys["developer"])
    await try_to_connect(daemon.url, headers={"X-API-Key": keys["developer"]})
    await try_to_connect(f"{daemon.url}?api_key={keys['developer']}")
    assert "client_" in daemon.everything_logged
    assert not any(key[9:] in daemon.everything_logged for key in keys.values())


# Subscriptions and filters.


async def test_subscribed_events_come_and_others_do_not(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        answer = await client.subscribe("flight.departed", "tmi.*")
        assert answer["channels"] == ["flight.departed", "tmi.*"]
        daemon.put(
            ("flight.created", {"n": 1}),
            ("flight.departed", {"n": 2}),
            ("tmi.issued", {"n": 3}),
            ("splits.updated", {"n": 4}),
        )
        assert [event["data"]["n"] for event in await client.events(2)] == [2, 3]
        assert (await client.ask("unsubscribe", channels=["tmi.*"]))["channels"] == ["tmi.*"]
        daemon.put(("tmi.released", {"n": 5}), ("flight.departed", {"n": 6}))
        assert [event["data"]["n"] for event in await client.events(1)] == [6]
        assert (await client.ask("unsubscribe"))["channels"] == ["all"]
        status = (await client.ask("status"))["data"]
        assert status["subscriptions"] is None
        assert status["client_id"] == client.received[0]["data"]["client_id"]


FILTERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"airports": ["kjfk"]}, {"dep": "KJFK", "arr": "EGLL"}, {"dep": "KBOS", "arr": "EGLL"}),
    ({"artccs": ["ZNY"]}, {"current_artcc": "zny"}, {"current_artcc": "ZBW"}),
    ({"firs": ["CZQX"]}, {"traversed_firs": "EGGX, CZQX"}, {"current_fir": "EGGX"}),
    ({"constrained_firs": ["CZQX"]}, {"current_fir": "CZQX"}, {"traversed_firs": ["EGGX"]}),
    ({"callsign_prefix": ["BAW"]}, {"callsign": "BAW117"}, {"callsign": "AAL100"}),
    ({"phase": ["enroute"]}, {"phase": "ENROUTE"}, {"phase": "ARRIVED"}),
    (
        {"dep_window_start": "2026-01-16T14:00:00Z", "dep_window_end": "2026-01-16T15:00:00Z"},
        {"etd": "2026-01-16T14:30:00Z"},
        {"etd": "2026-01-16T15:00:01Z"},
    ),
    (
        {"bbox": {"north": 42, "south": 40, "east": -72, "west": -75}},
        {"lat": 40.6, "lon": -73.8},
        {"lat": 51.5, "lon": -0.4},
    ),
    (
        {"bbox": {"north": 10, "south": -10, "east": -170, "west": 170}},
        {"latitude": 0, "longitude": 179},
        {"latitude": 0, "longitude": 0},
    ),
    (
        {"airports": ["KJFK"], "callsign_prefix": ["BAW"]},
        {"arr": "KJFK", "callsign": "BAW1"},
        {"arr": "KJFK", "callsign": "AAL1"},
    ),
]


@pytest.mark.parametrize(("filters", "passing", "stopped"), FILTERS, ids=lambda each: "-".join(each))
async def test_filter_lets_through_what_matches(
    daemon: LiveDaemon, keys: dict[str, str], filters: dict[str, Any], passing: dict[str, Any], stopped: dict[str, Any]
) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        await client.subscribe("flight.*", filters=filters)
        daemon.put(("flight.updated", stopped), ("flight.updated", passing))
        assert (await client.events(1))[0]["data"] == passing


async def test_positions_are_filtered_one_by_one(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        await client.subscribe("flight.positions", filters={"callsign_prefix": ["BAW"]})
        rows = [{"callsign": callsign} for callsign in ("BAW1", "AAL1", "BAW2")]
        daemon.put(
            ("flight.positions", {"count": 1, "positions": [{"callsign": "AAL1"}]}),
            ("flight.positions", {"count": 3, "positions": rows}),
        )
        (event,) = await client.events(1)
        assert event["data"]["count"] == 2
        assert [row["callsign"] for row in event["data"]["positions"]] == ["BAW1", "BAW2"]


async def test_wrong_requests_are_refused_with_their_codes_and_the_service_stands(
    daemon: LiveDaemon, keys: dict[str, str]
) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        wrong: list[tuple[dict[str, Any] | str | bytes, str]] = [
            ({"action": "subscribe", "channels": ["flight.departd"]}, "INVALID_CHANNEL"),
            ({"action": "subscribe", "channels": "flight.departed"}, "INVALID_SUBSCRIBE"),
            ({"action": "subscribe", "channels": ["flight.*"], "filters": {"airports": "KJFK"}}, "INVALID_FILTER"),
            ({"action": "land"}, "UNKNOWN_ACTION"),
            ("[]", "INVALID_JSON"),
            (b"{}", "INVALID_JSON"),
            (" " * 70_000, "MESSAGE_TOO_LARGE"),
            ({"action": "publish", "channel": "tmi.issued", "data": {}}, "FORBIDDEN"),
        ]
        for message, code in wrong:
            await client.send(message)
            assert (await client.next())["code"] == code
        assert "flight.departed" in json.dumps(client.received[1])
        assert (await client.ask("ping"))["type"] == "pong"


# Rates.


async def test_eleventh_message_in_a_second_is_refused_until_the_second_is_over(
    daemon: LiveDaemon, keys: dict[str, str]
) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        for _ in range(25):
            await client.send({"action": "ping"})
        assert (await client.until("RATE_LIMITED"))["data"]["limit"] == 10
        await asyncio.sleep(1.1)
        assert (await client.ask("ping"))["type"] == "pong"
        assert 10 <= client.codes.count("pong") <= 21


async def test_ten_seconds_over_the_rate_end_in_4002(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    client = await open_client(daemon.url, keys["developer"])

    async def flood() -> None:
        while True:
            for _ in range(15):
                await client.send({"action": "ping"})
            await asyncio.sleep(0.2)

    flooding = asyncio.create_task(flood())
    async with asyncio.timeout(20):
        code, _ = await client.closed()
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    assert code == 4002
    assert 9 <= client.codes.count("RATE_LIMITED") <= 11


# Publishing and resuming.


async def test_publish_is_stored_once_for_one_event_id(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["system"]) as client, dial(daemon.url, keys["developer"]) as listener:
        await listener.subscribe("tmi.*")
        first = await client.ask("publish", channel="tmi.issued", data={"program_id": 1}, event_id="one")
        again = await client.ask("publish", channel="tmi.issued", data={"program_id": 1}, event_id="one")
        other = await client.ask("publish", channel="tmi.issued", data={"program_id": 2}, event_id="two")
        assert (first["accepted"], first["duplicates"], first["event_id"]) == (1, 0, "one")
        assert (again["accepted"], again["duplicates"], again["id"]) == (0, 1, first["id"])
        events = await listener.events(2)
        assert [event["id"] for event in events] == [first["id"], other["id"]]


async def test_publish_of_what_cannot_be_is_refused(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["system"]) as client:
        for channel in ("tmi.isued", "tmi.*", "*", "system.heartbeat", ""):
            assert (await client.ask("publish", channel=channel, data={}))["code"] == "INVALID_PUBLISH"
        assert (await client.ask("publish", channel="tmi.issued", data=[]))["code"] == "INVALID_PUBLISH"


async def _numbers(client: WireClient, count: int) -> list[int]:
    return [event["data"]["n"] for event in await client.events(count)]


async def test_resuming_client_has_every_later_event_once_then_live_ones(
    daemon: LiveDaemon, keys: dict[str, str]
) -> None:
    ids = daemon.put(*(("cdm.updated", {"n": number}) for number in range(20)))
    async with dial(daemon.url, keys["developer"]) as client:
        answer = await client.subscribe("cdm.*", after=ids[11])
        assert (answer["resumed"], answer["gap"]) == (True, False)
        daemon.put(("cdm.updated", {"n": 20}))
        assert await _numbers(client, 9) == list(range(12, 21))


async def test_last_and_since_bring_history_too(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    daemon.put(*(("aman.updated", {"n": number}) for number in range(10)))
    async with dial(daemon.url, keys["developer"]) as client, dial(daemon.url, keys["developer"]) as other:
        await client.subscribe("aman.*", last=3)
        assert await _numbers(client, 3) == [7, 8, 9]
        await other.subscribe("aman.*", since=client.received[-1]["timestamp"])
        assert (await _numbers(other, 1))[-1] in range(10)


async def test_unknown_place_in_history_is_told_and_live_events_follow(
    daemon: LiveDaemon, keys: dict[str, str]
) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        for after in ("1-0", "9999999999999-0"):
            answer = await client.subscribe("ctp.*", after=after)
            assert answer["gap"] is True
            assert (await client.next())["code"] == "HISTORY_UNAVAILABLE"
            assert (await client.ask("subscribe", channels=["ctp.*"], after="nonsense"))["code"] == "INVALID_SUBSCRIBE"
        daemon.put(("ctp.slots.optimized", {"n": 1}))
        events = await client.events(1)
        assert events[-1]["data"] == {"n": 1}


# Signs of life, and being closed.


async def test_heartbeat_comes_without_a_subscription(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        async with asyncio.timeout(5):
            heartbeat = json.loads(await client.connection.recv())
        assert heartbeat["type"] == "system.heartbeat"
        assert heartbeat["data"]["connected_clients"] == 1
        assert isinstance(heartbeat["data"]["uptime_seconds"], int)


async def test_client_that_only_listens_and_answers_pings_stays(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        await asyncio.sleep(2)
        assert (await client.ask("ping"))["type"] == "pong"


async def test_revoked_key_closes_its_connections_within_a_second(daemon: LiveDaemon) -> None:
    issued = daemon.make_key("developer")
    async with dial(daemon.url, issued.api_key) as client:
        revoked = await asyncio.to_thread(daemon.swimctl, "keys", "revoke", str(issued.record.id), "--yes")
        assert revoked.returncode == 0, revoked.stderr
        async with asyncio.timeout(1):
            code, _ = await client.closed()
        assert code == 4001
        assert client.codes[-1] == "AUTH_FAILED"


async def test_operator_closes_a_connection_which_may_come_back(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    async with dial(daemon.url, keys["developer"]) as client:
        identifier = client.received[0]["data"]["client_id"]
        assert daemon.call("connection_close", {"id": identifier}) == {"closed": True}
        code, reason = await client.closed()
        assert code == 1012
        assert "retry_ms=" in reason
    assert daemon.call("connection_close", {"id": identifier}) == {"closed": False}


def test_suite_runs_against_the_sources_of_this_folder(daemon: LiveDaemon) -> None:
    import swim_server

    files = daemon.call("version")["files"]
    assert f"swim_server/{Path(swim_server.__file__).name}" in files


# Compressed.


def batches(number: int) -> list[tuple[str, dict[str, Any]]]:
    """Position batches, large enough to be compressed, and a small event among them."""
    rows = [
        {"callsign": f"DAL{100 * number + each}", "flight_uid": each, "latitude": 40.5 + each / 100, "longitude": -73.5,
         "altitude_ft": 35_000, "groundspeed_kts": 450, "heading_deg": 90, "vertical_rate_fpm": 0}
        for each in range(100)
    ]  # fmt: skip
    small = {"callsign": f"DAL{number}", "dep": "KJFK", "arr": "KLAX"}
    return [("flight.positions", {"count": len(rows), "positions": rows}), ("flight.departed", small)]


SUBSCRIBE_ALL = json.dumps({"action": "subscribe", "channels": ["flight.*"], "filters": {"callsign_prefix": ["DAL"]}})


async def take_events(receive: Callable[[], Awaitable[str | bytes]], count: int) -> list[Any]:
    """The next so many events, the heartbeats between them left out."""
    events: list[Any] = []
    while len(events) < count:
        message = json.loads(await receive())
        if message["type"] != "system.heartbeat":
            events.append(message)
    return events


async def by_websockets(url: str, compression: str | None, ready: asyncio.Semaphore, count: int) -> list[Any]:
    async with connect(url, compression=compression, max_size=None, proxy=None) as client:
        await client.recv()
        await client.send(SUBSCRIBE_ALL)
        while json.loads(await client.recv())["type"] != "subscribed":
            pass
        ready.release()
        return await take_events(lambda: client.recv(), count)


async def by_aiohttp(url: str, ready: asyncio.Semaphore, count: int, window_bits: int) -> list[Any]:
    async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=window_bits) as client:
        assert client.compress
        await client.receive_json()
        await client.send_str(SUBSCRIBE_ALL)
        while (await client.receive_json())["type"] != "subscribed":
            pass
        ready.release()
        return await take_events(lambda: client.receive_str(), count)


async def test_compressing_clients_receive_what_plain_ones_do(daemon: LiveDaemon, keys: dict[str, str]) -> None:
    url = f"{daemon.url}?api_key={keys['system']}"
    ready, events = asyncio.Semaphore(0), 6
    receiving = [
        asyncio.create_task(client)
        for client in (
            by_websockets(url, None, ready, events),
            by_websockets(url, "deflate", ready, events),
            by_aiohttp(url, ready, events, 15),
            by_aiohttp(url, ready, events, 9),
        )
    ]
    for _ in receiving:
        await asyncio.wait_for(ready.acquire(), 20)
    for number in range(events // 2):
        await asyncio.to_thread(daemon.put, *batches(number))
    plain, *others = await asyncio.wait_for(asyncio.gather(*receiving), 30)
    assert len({message["id"] for message in plain}) == events
    for other in others:
        assert other == plain
