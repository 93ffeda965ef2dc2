"""Doctor and a key database on a SQL Server: what each fault fires, with a real daemon and the real drivers."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from support import tds_wire as wire
from support.daemon import ROOT
from support.doctor_faults import SMALL, fired
from support.doctor_faults_service import DiagnosedDaemon
from support.odbc import connection_string
from support.tds_server import Answer, Error, TdsServer
from support.tds_sqlite import SqliteStatements


class Server(TdsServer):
    """Its clock and its pace are the test's."""

    def __init__(self, path: Path, **options: Any) -> None:
        statements = SqliteStatements(path)
        statements.create_tables()
        super().__init__(statements, **options)
        self.ahead = timedelta()
        self.seconds = 0.0
        """How long each statement takes."""
        self.on_statement = self._answer

    def _answer(self, sql: str) -> Answer:
        time.sleep(self.seconds)
        if "sysutcdatetime" in sql.lower():
            now = datetime.now(UTC).replace(tzinfo=None) + self.ahead
            return wire.table([("sysutcdatetime_1", "moment")], [[now.isoformat(sep=" ")]])
        return None


@contextmanager
def patient(folder: Path, server: TdsServer, **fields: str) -> Iterator[DiagnosedDaemon]:
    """A daemon on that server; the connection string stands in the environment, as secrets do."""
    found = DiagnosedDaemon(folder, ROOT, config=SMALL)
    odbc = connection_string("microsoft", server.port, **fields)
    found.environ |= {"SWIM_DATABASE__ODBC": odbc, "SWIM_DATABASE__QUERY_TIMEOUT_SECONDS": "10"}
    try:
        found.start(port=0)
        yield found
    finally:
        server.drop_all()
        found.finish()


def told(patient: DiagnosedDaemon) -> dict[str, str]:
    """What fires, of the areas that a database has to do with."""
    return fired(patient.doctor()[1])


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as slow does not depend on what else this machine does."""
    monkeypatch.setattr("swimctl.doctor.context.load_factor", lambda: 1.0)


def _nothing(server: Server) -> None:
    return None


def _ahead(server: Server) -> None:
    server.ahead = timedelta(minutes=5)


def _behind(server: Server) -> None:
    server.ahead = timedelta(minutes=-5)


def _slow(server: Server) -> None:
    server.seconds = 1.1


def _refuse_login(server: Server) -> None:
    server.on_login = lambda login: Error(18456, "Login failed for user 'sa'.", 14)
    server.drop_all()


def _read_only(server: Server) -> None:
    before = server.on_statement

    def answer(sql: str) -> Answer:
        return Error(229, "The INSERT permission was denied on the object.", 14) if "INSERT" in sql else before(sql)

    server.on_statement = answer


FAULTS: tuple[tuple[str, Callable[[Server], None], set[str], str], ...] = (
    ("healthy", _nothing, set(), ""),
    ("clock ahead", _ahead, {"database.clock"}, "300 s ahead of ours"),
    ("clock behind", _behind, {"database.clock"}, "300 s behind ours"),
    ("slow", _slow, {"database.latency"}, "ms"),
    ("login refused", _refuse_login, {"database.login"}, "18456"),
    ("no right to write", _read_only, set(), ""),
)


@pytest.mark.parametrize(
    ("name", "produce", "fires", "text"), FAULTS, ids=[each[0].replace(" ", "-") for each in FAULTS]
)
def test_fault_of_a_sql_server_fires_its_check_and_no_other(
    tmp_path: Path, name: str, produce: Callable[[Server], None], fires: set[str], text: str
) -> None:
    with Server(tmp_path / "behind.db") as server, patient(tmp_path / "p", server) as found:
        produce(server)
        seen = told(found)
    seen = {id: line for id, line in seen.items() if id != "database.encrypted"}  # this one does not encrypt
    assert set(seen) == fires, seen
    assert text in str(seen)


def test_server_that_does_not_encrypt_is_told(tmp_path: Path) -> None:
    with Server(tmp_path / "behind.db") as server, patient(tmp_path / "p", server) as found:
        assert "travel in clear" in told(found)["database.encrypted"]


def test_server_that_is_gone_is_told_at_the_root(tmp_path: Path) -> None:
    with Server(tmp_path / "behind.db") as server:
        with patient(tmp_path / "p", server) as found:
            server.__exit__()
            seen = told(found)
        assert list(seen) == ["database.reachable"]
        assert "refused" in seen["database.reachable"]


@pytest.mark.parametrize("is_trusted", [True, False], ids=["trusted", "foreign"])
def test_certificate_is_told_apart_from_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(bundle)
    with Server(tmp_path / "behind.db", tls=context) as server:
        options = {"Encrypt": "yes", "TrustServerCertificate": "yes"}
        with patient(tmp_path / "p", server, **options) as found:
            strict = found.environ["SWIM_DATABASE__ODBC"].replace("TrustServerCertificate=yes;", "")
            found.environ |= {"SSL_CERT_FILE": str(bundle)}
            found.environ["SWIM_DATABASE__ODBC"] = strict.replace("TrustServerCertificate=yes", "")
            monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
            seen = told(found)
    if is_trusted:
        assert "database.encrypted" not in seen, seen
    else:
        assert "its certificate is not trusted" in seen["database.encrypted"]
        assert "database.login" not in seen
