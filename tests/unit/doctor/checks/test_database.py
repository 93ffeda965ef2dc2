"""What doctor reads of a database's address and concludes of its answers; a trial client's frames."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext
from swim_server.config import Config, DatabaseConfig
from swim_server.keys.schema import Schema
from swim_server.keys.tables import api_keys, audit_log
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable

from swimctl.client.session import RpcFailed
from swimctl.doctor.checks.database import in_process, server, store
from swimctl.doctor.checks.host.storage import endings_are_stored
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.database.database_address import DatabaseAddress, address_of
from swimctl.doctor.probes.database.key_database import Login
from swimctl.doctor.probes.database.marker import Marked
from swimctl.doctor.probes.trial_client import TrialClient, _frame
from swimctl.doctor.probes.wire import Target

DRIVER = "Driver={ODBC Driver 18 for SQL Server}"
ALL_KEYS, ALL_AUDIT = frozenset(api_keys.columns.keys()), frozenset(audit_log.columns.keys())


@pytest.fixture
def service(tmp_path: Path) -> ServiceContext:
    context = ServiceContext(tmp_path)
    context.known |= {
        "database.login": Login("sqlite", 0.01), "database.marker": Marked(9, "text"), "database.latency": 0.001,
        "database.schema": Schema(ALL_KEYS, ALL_AUDIT),
    }  # fmt: skip
    context.answers["probe_row"] = {"database": _ours(tmp_path), "found": True, "description": "text"}
    return context


def _ours(home: Path) -> str:
    return f"sqlite:///{home}/swim.db"


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (DatabaseConfig(), None),
        (DatabaseConfig(url="sqlite:////x.db"), None),
        (DatabaseConfig(url="mssql+pyodbc://sa:x@db/swim"), DatabaseAddress("db", 1433, True)),
        (DatabaseConfig(url="mssql+pyodbc://db:15/x?TrustServerCertificate=yes"), DatabaseAddress("db", 15, False)),
        (DatabaseConfig(url="mssql+pyodbc://db/swim?driver=FreeTDS"), DatabaseAddress("db", 1433, False)),
        (DatabaseConfig(odbc=f"{DRIVER};Server=tcp:db.net,1444;UID=x"), DatabaseAddress("db.net", 1444, True)),
        (DatabaseConfig(odbc=f"{DRIVER};PWD={{a;Server=no}};SERVER=db;Encrypt=no"), DatabaseAddress("db", 1433, False)),
        (DatabaseConfig(odbc=f"{DRIVER};Server=db;Port=1500"), DatabaseAddress("db", 1500, True)),
        (DatabaseConfig(odbc=f"{DRIVER};Server=db\\INSTANCE"), None),
        (DatabaseConfig(odbc="DSN=swim"), None),
        (DatabaseConfig(odbc=f"{DRIVER};Server=db,x"), None),
    ],
    ids=range(11),
)  # fmt: skip
def test_address_is_read_from_the_configuration(config: DatabaseConfig, address: DatabaseAddress | None) -> None:
    assert address_of(config) == address


async def test_row_that_is_read_back_proves_the_store(service: ServiceContext) -> None:
    assert (await in_process.same_store(service)).status == "ok"


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"found": False}, "fail"),
        ({"description": "another"}, "fail"),
        ({"database": "sqlite:////other.db", "found": False, "description": None}, "fail"),
        ({"found": "yes"}, "unknown"),
        ({"found": None}, "unknown"),
        ({"description": 7}, "unknown"),
        ({"database": None}, "unknown"),
    ],
    ids=range(7),
)
async def test_row_that_is_not_the_one_written_is_another_store(service: ServiceContext, row: Any, status: str) -> None:
    service.answers["probe_row"] |= row
    assert (await in_process.same_store(service)).status == status


async def test_process_that_can_not_read_its_database_is_a_failure(service: ServiceContext) -> None:
    service.answers["probe_row"] = RpcFailed("probe_row", -32000, "locked")
    assert (await in_process.same_store(service)).status == "fail"


@pytest.mark.parametrize(("seconds", "status"), [(0.001, "ok"), (0.3, "warn"), (1.2, "fail")])
async def test_latency_is_told_and_judged(service: ServiceContext, seconds: float, status: str) -> None:
    service.known["database.latency"] = seconds
    assert (await store.latency(service)).status == status


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailable("no answer (HYT00)"), "no answer"),
        (StoreMisconfigured("the key database refuses (18456)", "Login failed"), "18456"),
    ],
    ids=range(2),
)
async def test_login_that_fails_tells_why(service: ServiceContext, error: Exception, told: str) -> None:
    service.known["database.login"] = error
    answer = await store.login(service)
    assert answer.status == "fail"
    assert told in answer.observed


@pytest.mark.parametrize(
    ("schema", "status"),
    [
        (Schema(ALL_KEYS, ALL_AUDIT), "ok"),
        (Schema(frozenset(), frozenset()), "ok"),
        (Schema(ALL_KEYS - {"key_hint"}, ALL_AUDIT), "warn"),
        (Schema(ALL_KEYS, frozenset()), "warn"),
        (Schema(ALL_KEYS - {"tier"}, ALL_AUDIT), "fail"),
        (Schema(frozenset({"id"}), ALL_AUDIT), "fail"),
    ],
    ids=range(6),
)
async def test_schema_is_judged_by_what_is_missing(service: ServiceContext, schema: Schema, status: str) -> None:
    service.known["database.schema"] = schema
    assert (await store.schema(service)).status == status


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"problem": None, "recheck_error": None}, "ok"),
        ({"problem": "away", "problem_seconds": 3.0}, "fail"),
        ({"problem": None, "recheck_error": "away"}, "fail"),
        ({"problem": 7}, "unknown"),
        (None, "unknown"),
    ],
    ids=range(5),
)
async def test_trouble_of_the_process_is_told(service: ServiceContext, keys: Any, status: str) -> None:
    service.answers["status"]["keys"] = keys
    assert (await in_process.in_use(service)).status == status


@pytest.mark.parametrize("kind", ["missing", "folder"])
async def test_file_that_is_none_is_told_at_the_root(service: ServiceContext, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other.db"
    if kind == "folder":
        path.mkdir()
    service.config = Config(database=DatabaseConfig(url=f"sqlite:///{path}"))
    assert (await server.reachable(service)).status == "fail"


# The client of a trial.


class _Transport:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        """It is gone."""


def frame(payload: bytes, opcode: int = 1) -> bytes:
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return bytes([0x80 | opcode]) + length + payload


async def outcome(*pieces: bytes, is_lost: bool = False) -> Any:
    import asyncio

    client = TrialClient(Target.parse("ws://x/"), "swim_dev_x")
    client._waiter = asyncio.get_running_loop().create_future()
    client.connection_made(_Transport())  # type: ignore[arg-type]  # only what the client calls
    for piece in pieces:
        client.data_received(piece)
    if is_lost:
        client.connection_lost(None)
    return client._waiter.result() if client._waiter.done() else None


HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
GREETING = json.dumps({"type": "connected", "data": {"text": "x" * 200}}).encode()
FULL = {"code": "CONNECTION_LIMIT", "message": "full", "data": {"tier": "public", "current": 5, "limit": 5}}
ERROR = json.dumps({"type": "error", **FULL}).encode()


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_greeting_is_read_in_whatever_pieces_it_comes(size: int) -> None:
    data = HEAD + frame(GREETING)
    found = await outcome(*(data[start : start + size] for start in range(0, len(data), size)))
    assert found.is_in


async def test_refusal_is_read_with_its_numbers() -> None:
    found = await outcome(HEAD + frame(ERROR) + frame(struct.pack(">H", 4002) + b"full", 8))
    assert (found.error_code, found.close_code, found.tier, found.current, found.limit) == (
        "CONNECTION_LIMIT", 4002, "public", 5, 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 503 no\r\n\r\n"],
        [HEAD + frame(b"[]")],
        [HEAD + frame(b"\xff")],
        [HEAD + frame(b"{" * 2000)],
        [HEAD + frame(b"", 8)],
        [HEAD + frame(b'{"type":"error","data":7}') + frame(b"\x0f\xa2", 8)],
        [b"x" * 70_000],
    ],
    ids=range(7),
)
async def test_whatever_else_comes_lets_nobody_in(pieces: list[bytes]) -> None:
    found = await outcome(*pieces)
    assert found is not None
    assert not found.is_in


async def test_connection_that_is_cut_is_told() -> None:
    assert (await outcome(HEAD, is_lost=True)).reason == "cut without an answer"
    assert (await outcome(HEAD + frame(ERROR), is_lost=True)).error_code == "CONNECTION_LIMIT"


@pytest.mark.parametrize(
    "data", [b"", b"\x81", b"\x81\x7e", b"\x81\x7e\x00", b"\x81\x7f" + b"\x00" * 7, b"\x81\x05abc"]
)
def test_frame_that_is_not_whole_is_waited_for(data: bytes) -> None:
    assert _frame(bytearray(data)) is None


def test_a_file_locked_against_readers_is_told_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "swim.db"
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("CREATE TABLE held (id INTEGER)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            key_database._open(DatabaseConfig(), path, lock_seconds=0.01)
    finally:
        holder.close()


@pytest.mark.parametrize(("waiting", "status"), [([], "ok"), ([7], "fail")])
async def test_key_that_is_ended_in_memory_alone_fails_until_it_is_stored(
    service: ServiceContext, waiting: list[int], status: str
) -> None:
    service.answers["status"]["keys"]["not_stored"] = waiting
    answer = await endings_are_stored(service)
    assert answer.status == status
    assert waiting == [] or "swimctl keys revoke 7" in str(answer.command)
