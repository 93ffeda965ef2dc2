"""Keys and live connections: ending a key closes its connections, an unavailable database closes none."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation
from swim_server.keys.format import digest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    quick = {"SWIM_AUTH__RECHECK_SECONDS": "1", "SWIM_DATABASE__QUERY_TIMEOUT_SECONDS": "0.5"}
    return Installation(tmp_path / "home", **quick)


@pytest.fixture
def url(installation: Installation) -> Iterator[str]:
    with installation.serving() as url:
        yield url


def create(installation: Installation, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = installation.document("keys", "create", "--tier", "developer", "--owner", "me", *options)
    return document


async def dial(url: str, api_key: str) -> ClientConnection:
    return await connect(url, additional_headers={"Authorization": f"Bearer {api_key}"})


async def welcome(url: str, api_key: str) -> ClientConnection:
    """Connect and take the first message, which must be a welcome."""
    connection = await dial(url, api_key)
    assert '"connected"' in await connection.recv()
    return connection


async def close_code(connection: ClientConnection, within: float = 30) -> int:
    """Wait for the close, and tell its code."""
    async with asyncio.timeout(within):
        try:
            while True:
                await connection.recv()
        except ConnectionClosed:
            assert connection.close_code is not None
            return connection.close_code


def wait_until_keys_can_be_checked(installation: Installation) -> None:
    """The recheck of the live connection finds out by itself."""
    deadline = time.monotonic() + 60
    while installation.document("status")["keys"]["problem"] is not None:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("change", [("expire",), ("revoke", "--yes")])
async def test_ended_key_closes_its_connections_at_once_and_lets_nobody_in(
    installation: Installation, url: str, change: tuple[str, ...]
) -> None:
    key, other = create(installation), create(installation)
    live = [await welcome(url, key["api_key"]) for _ in range(3)]
    untouched = await welcome(url, other["api_key"])
    out = await asyncio.to_thread(installation.run, "keys", change[0], str(key["id"]), *change[1:])
    assert "3 live connections closed" in out
    assert [await close_code(connection) for connection in live] == [4001] * 3
    assert await close_code(await dial(url, key["api_key"])) == 4001
    await untouched.ping()
    await untouched.close()


async def test_expiry_that_comes_while_connected_closes_on_time(installation: Installation, url: str) -> None:
    key = create(installation)
    live = await welcome(url, key["api_key"])
    ends = datetime.now(UTC) + timedelta(seconds=4)
    await asyncio.to_thread(installation.run, "keys", "expire", str(key["id"]), "--at", f"{ends:%Y-%m-%dT%H:%M:%SZ}")
    assert await close_code(live) == 4001
    assert datetime.now(UTC) >= ends.replace(microsecond=0)


async def test_change_straight_in_the_table_is_seen_by_the_recheck(installation: Installation, url: str) -> None:
    key = create(installation)
    live = await welcome(url, key["api_key"])
    database = sqlite3.connect(installation.home / "swim.db")
    database.execute("UPDATE swim_api_keys SET is_active = 0")
    database.commit()
    database.close()
    assert await close_code(live) == 4001


async def test_both_keys_work_during_the_overlap_of_a_rotation(installation: Installation, url: str) -> None:
    old = create(installation)
    live = await welcome(url, old["api_key"])
    new = installation.document("keys", "rotate", str(old["id"]), "--overlap", "1h")
    for key in (old, new):
        await (await welcome(url, key["api_key"])).close()
    row = installation.document("keys", "show", str(old["id"]))
    assert row["expires_at"] == new["replaces"]["expires_at"] is not None
    await asyncio.to_thread(installation.run, "keys", "expire", str(old["id"]))
    assert await close_code(live) == 4001
    await (await welcome(url, new["api_key"])).close()
    assert await close_code(await dial(url, old["api_key"])) == 4001


async def test_texts_that_are_almost_a_key_are_refused(installation: Installation, url: str) -> None:
    key = create(installation)["api_key"]
    for almost in (digest(key), key.swapcase(), key + "%20", "", "x" * 4_096, key + "%00", key[:-1] + "%C3%A9"):
        connection = await connect(f"{url}?api_key={almost}")
        assert await close_code(connection) == 4001
    with pytest.raises(InvalidStatus):
        await connect(f"{url}?api_key={'x' * 10_240}")
    await (await welcome(url, key)).close()


async def test_locked_database_disturbs_nobody_and_lets_nobody_unknown_in(installation: Installation, url: str) -> None:
    known, unknown = create(installation), create(installation)
    live = await welcome(url, known["api_key"])
    locker = sqlite3.connect(installation.home / "swim.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    threads = installation.threads()
    unknown_clients = [await dial(url, unknown["api_key"]) for _ in range(20)]
    assert [await close_code(client) for client in unknown_clients] == [1013] * 20
    assert await close_code(await dial(url, unknown["api_key"])) == 1013
    await (await welcome(url, known["api_key"])).close()
    assert installation.document("status")["keys"]["problem"]
    assert "can't be used at the moment: database is locked" in installation.run("status")
    await live.ping()
    assert installation.threads() <= threads + 4
    locker.close()
    await asyncio.to_thread(wait_until_keys_can_be_checked, installation)
    await (await welcome(url, unknown["api_key"])).close()
    await live.close()


async def test_live_connections_and_use_stand_in_the_list(installation: Installation, url: str) -> None:
    key = create(installation)
    live = [await welcome(url, key["api_key"]) for _ in range(2)]
    (row,) = installation.document("keys", "list")
    assert row["live_connections"] == 2
    shown = installation.document("keys", "show", str(key["id"]))
    assert len(shown["connections"]) == 2
    for connection in live:
        await connection.close()


async def test_use_and_refusals_are_written_and_no_key_anywhere(installation: Installation) -> None:
    with installation.serving() as url:
        key = create(installation)
        await (await welcome(url, key["api_key"])).close()
        assert await close_code(await dial(url, key["api_key"].swapcase())) == 4001
    (row,) = installation.document("keys", "list")
    assert row["last_used_at"] is not None
    refusals = [line for line in installation.document("keys", "audit") if line["action"] == "refuse"]
    assert [(line["actor"], line["origin"]) for line in refusals] == [("client", "127.0.0.1")]
    files = [path for path in installation.home.rglob("*") if path.is_file()]
    assert not [path for path in files if key["api_key"].encode() in path.read_bytes()]
