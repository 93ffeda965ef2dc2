"""``swimctl explain`` against a real daemon: each answer really produced."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import dial, open_client


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    config = "[server]\nmax_buffer_bytes = 20000\n"
    with live_daemon(tmp_path_factory.mktemp("x") / "h", config=config) as daemon:
        yield daemon


def explain(daemon: LiveDaemon, *words: str) -> dict[str, Any]:
    done = daemon.swimctl("explain", *words, "--json", check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ask(daemon: LiveDaemon, about: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("explain", {"about": about, **params})
    return found


async def test_event_that_was_sent_and_those_that_were_not(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    (before,) = daemon.put(("flight.departed", {"callsign": "DAL1", "dep": "KJFK"}))
    async with dial(daemon.url, key.api_key) as client:
        await client.subscribe("flight.departed", filters={"airports": ["KJFK"]})
        sent, filtered, other = daemon.put(
            ("flight.departed", {"callsign": "DAL1", "dep": "KJFK"}),
            ("flight.departed", {"callsign": "BAW1", "dep": "EGLL", "arr": "EDDF"}),
            ("tmi.issued", {"airport": "KJFK"}),
        )
        (received,) = await client.events(1)
        own = await client.ask("explain", event=filtered)
    await_true(lambda: daemon.counted()["developer"] == 0, what="the client's end")
    (after,) = daemon.put(("flight.departed", {"callsign": "DAL2", "dep": "KJFK"}))
    told = {event: ask(daemon, event, key_id=key.record.id) for event in (before, sent, filtered, other, after)}
    assert received["id"] == sent
    assert [told[event]["outcome"] for event in (before, sent, filtered, other, after)] == [
        "not_connected", "sent", "filtered", "not_subscribed", "not_connected",
    ]  # fmt: skip
    assert told[filtered]["why"] == "filter airports stopped it: wanted KJFK, the event has EGLL, EDDF"
    assert "1000" in told[after]["why"]
    assert own["type"] == "explained"
    assert own["data"]["why"] == told[filtered]["why"]
    ahead = explain(daemon, "flight.departed", "--key", str(key.record.id))
    (subscription,) = ahead["subscriptions"]
    assert (subscription["passed"], subscription["clauses"][0]["stopped"]) == (3, 1)


async def test_key_that_had_expired_is_the_reason(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    async with dial(daemon.url, key.api_key) as client:
        await client.subscribe("*")
        daemon.swimctl("keys", "expire", str(key.record.id), "--yes", check=True)
        assert (await client.closed())[0] == 4001
    (event,) = daemon.put(("flight.departed", {"callsign": "DAL1"}))
    found = explain(daemon, event, "--key", str(key.record.id))
    assert found["outcome"] == "key_expired"
    assert found["key"]["state"] == "expired"
    (consumer,) = found["consumers"]
    assert (consumer["close_code"], consumer["outcome"]) == (4001, "not_connected")


async def test_revoked_key_is_the_reason(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    daemon.swimctl("keys", "revoke", str(key.record.id), "--yes", check=True)
    (event,) = daemon.put(("flight.departed", {"callsign": "DAL1"}))
    assert explain(daemon, event, "--key", str(key.record.id))["outcome"] == "key_revoked"


async def test_slow_consumer_is_told_from_where_on_nothing_reached_it(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    client = await open_client(daemon.url, key.api_key, max_queue=1, compression=None)
    transport = client.connection.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert (await client.next())["type"] == "connected"
    await client.subscribe("flight.*")
    (client_id,) = [one["id"] for one in daemon.connections if one["key_id"] == key.record.id]
    transport.pause_reading()
    ids: list[str] = []
    while any(one["id"] == client_id for one in daemon.connections):
        assert len(ids) < 100_000, "it is never too slow"
        ids += daemon.put(*[("flight.updated", {"callsign": f"DAL{n}", "route": "x" * 2000}) for n in range(40)])
    told = [ask(daemon, event, connection=client_id) for event in (ids[0], *ids[-160:])]
    transport.abort()
    assert told[0]["outcome"] == "sent"
    assert told[0]["consumers"][0]["close_code"] == 4008
    slow = [one for one in told if one["outcome"] == "slow"]
    assert "it read too slowly: from event" in slow[0]["why"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["1768573815123-0", "--key", "1"], 5, "is not stored"),
        (["flight.departed", "--key", "999"], 5, "no key has the id 999"),
        (["flight.departed", "--connection", "client_x"], 5, "no connection 'client_x'"),
        (["flight.departd", "--airport", "KJFK"], 2, "did you mean flight.departed?"),
        (["flight.departed", "--airport", "K!"], 2, "filter airports"),
        (["flight.departed"], 2, "needs a consumer"),
        (["flight.departed", "--key", "1", "--airport", "KJFK"], 2, "one consumer"),
        (["flight.departed", "--airport", "KJFK", "--since", "soon"], 2, "--since"),
    ],
    ids=["event", "key", "connection", "type", "filter", "nobody", "two", "since"],
)
def test_wrong_question_is_told_what_is_wrong(daemon: LiveDaemon, words: list[str], code: int, said: str) -> None:
    daemon.make_key()
    done = daemon.swimctl("explain", *words)
    assert (done.returncode, said in done.stderr, done.stdout) == (code, True, ""), done.stderr


def test_question_without_a_daemon_exits_with_3(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "h")
    assert daemon.swimctl("explain", "flight.departed", "--key", "1").returncode == 3


def test_command_of_this_machine_is_judged_by_its_subscription(daemon: LiveDaemon) -> None:
    watching = daemon.spawn("tail", "tmi.*", "--json")
    (connection,) = await_true(lambda: [one["id"] for one in daemon.connections if one["tier"] == "local"])
    (event,) = daemon.put(("flight.departed", {"callsign": "DAL1"}))
    assert ask(daemon, event, connection=connection)["outcome"] == "not_subscribed"
    watching.terminate()


def test_plain_output_is_label_and_value(daemon: LiveDaemon) -> None:
    (event,) = daemon.put(("flight.departed", {"callsign": "DAL1", "dep": "EGLL"}))
    done = daemon.swimctl("explain", event, "--airport", "KJFK", check=True)
    pairs = dict(line.split("\t") for line in done.stdout.splitlines())
    assert (pairs["event"], pairs["type"], pairs["outcome"]) == (event, "flight.departed", "filtered")
    assert pairs["subscription.airports"] == "no: wanted KJFK, has EGLL"
