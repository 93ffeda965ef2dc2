"""The daemon on a SQL Server that goes silent: connected clients notice nothing, unknown keys stay out,
nothing piles up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import Installation
from support.odbc import connection_string
from support.tds_server import Silence, TdsServer
from support.tds_sqlite import SqliteStatements
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.unmeasured


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TdsServer]:
    statements = SqliteStatements(tmp_path / "behind.db")
    statements.create_tables()
    with TdsServer(statements) as server:
        yield server


@pytest.fixture
def installation(server: TdsServer, tmp_path: Path) -> Installation:
    return Installation(
        tmp_path / "home",
        SWIM_DATABASE__ODBC=connection_string("microsoft", server.port),
        SWIM_DATABASE__QUERY_TIMEOUT_SECONDS="1",
        SWIM_DATABASE__CONNECT_TIMEOUT_SECONDS="1",
        SWIM_AUTH__RECHECK_SECONDS="1",
    )


async def dial(url: str, api_key: str) -> ClientConnection:
    return await connect(url, additional_headers={"Authorization": f"Bearer {api_key}"})


async def first_word(connection: ClientConnection) -> str | int:
    """``connected``, or the code of the close that came in its place."""
    async with asyncio.timeout(30):
        try:
            message = await connection.recv()
            if '"connected"' in message:
                return "connected"
            await connection.recv()
        except ConnectionClosed:
            pass
    assert connection.close_code is not None
    return connection.close_code


async def test_silent_server_disturbs_nobody_lets_nobody_unknown_in_and_leaves_nothing_behind(
    installation: Installation, server: TdsServer
) -> None:
    known, unknown = (
        installation.document("keys", "create", "--tier", "developer", "--owner", "me")["api_key"] for _ in range(2)
    )
    with installation.serving() as url:
        live = await dial(url, known)
        assert await first_word(live) == "connected"
        threads = installation.threads()
        server.on_statement = lambda sql: Silence()
        strangers = await asyncio.gather(*(dial(url, unknown) for _ in range(30)))
        assert await asyncio.gather(*(first_word(stranger) for stranger in strangers)) == [1013] * 30
        again = await dial(url, known)
        assert await first_word(again) == "connected"
        await asyncio.to_thread(wait_for_problem, installation, is_away=True)
        await asyncio.wait_for(await live.ping(), 10)
        assert installation.threads() <= threads + 4
        server.on_statement = lambda sql: None
        await asyncio.to_thread(wait_for_problem, installation, is_away=False)
        stranger = await dial(url, unknown)
        assert await first_word(stranger) == "connected"
        assert installation.document("status")["keys"]["pending"] == 0
        await asyncio.gather(*(client.close() for client in (live, again, stranger)))


def wait_for_problem(installation: Installation, *, is_away: bool) -> None:
    """The recheck of the live keys finds out by itself."""
    deadline = time.monotonic() + 60
    while (installation.document("status")["keys"]["problem"] is not None) != is_away:
        assert time.monotonic() < deadline
