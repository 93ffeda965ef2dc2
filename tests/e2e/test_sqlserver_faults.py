"""What goes wrong with a SQL Server, told by the real drivers: numbers, breaks, silence, TLS, credentials."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from support import tds_wire as wire
from support.key_store_contract import OPERATOR, new_key
from support.odbc import DRIVERS, connection_string, driver_path
from support.seeded_bytes import SeededBytes
from support.tds_server import Answer, Drop, Error, Reset, Silence, TdsServer
from support.tds_sqlite import SqliteStatements
from support.virtual_clock import VirtualClock
from swim_server.config import DatabaseConfig
from swim_server.keys.opening import open_database
from swim_server.keys.store import KeyStore
from swim_server.sql.errors import OutcomeUnknown, SchemaMissing, StoreError, StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlserver import CONFLICT_NUMBERS, LASTING_NUMBERS, PASSING_NUMBERS

WITHIN_SECONDS = 45
"""The timeouts are of seconds; a busy machine adds to them. Without one, nothing would ever end."""
ODD_PASSWORDS = [
    "semi;colon",
    "{brace}",
    "}",
    "}}",
    "a=b",
    "quote'\"",
    " blank ",
    "ünïcödé 東京",
    "$HOME`id`\\",
    ";PWD=x",
]


@dataclass
class Setup:
    """A server, a store on it, and what the driver is called."""

    driver: str
    server: TdsServer
    open: Callable[..., KeyStore]


@pytest.fixture(params=DRIVERS)
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    statements = SqliteStatements(tmp_path / "behind.db")
    statements.create_tables()
    stores: list[KeyStore] = []
    with TdsServer(statements) as server:

        def open_store(odbc: str | None = None, patience_seconds: float = 0, **config: object) -> KeyStore:
            fields = {"odbc": odbc or connection_string(request.param, server.port), "query_timeout_seconds": 1}
            if "url" in config:
                del fields["odbc"]
            configured = DatabaseConfig(connect_timeout_seconds=1, **(fields | config))  # type: ignore[arg-type]  # settings of several types
            database = open_database(configured, tmp_path / "unused.db", patience_seconds=patience_seconds)
            stores.append(KeyStore(database, clock=VirtualClock(), randbytes=SeededBytes(1)))
            return stores[-1]

        yield Setup(request.param, server, open_store)
        server.drop_all()
        for store in stores:
            store.close()


def on_reading(answer: Answer, *, times: int = 1) -> Callable[[str], Answer]:
    """A script that answers the next queries of keys so, and lets everything else through."""
    left = [times]

    def script(sql: str) -> Answer:
        if "FROM swim_api_keys" in sql and "1 = 0" not in sql and left[0]:
            left[0] -= 1
            return answer
        return None

    return script


# Logins


@pytest.mark.parametrize("number", sorted(PASSING_NUMBERS))
def test_passing_error_at_login_means_unavailable_with_its_number(setup: Setup, number: int) -> None:
    setup.server.on_login = lambda login: Error(number, "Database is moving.")
    with pytest.raises(StoreUnavailable) as caught:
        setup.open().list()
    assert caught.value.number == number
    assert "Database is moving." in str(caught.value)
    setup.server.on_login = lambda login: None


@pytest.mark.parametrize("number", sorted(LASTING_NUMBERS))
def test_lasting_error_at_login_means_that_a_person_must_act(setup: Setup, number: int) -> None:
    setup.server.on_login = lambda login: Error(number, "Login failed for user 'sa'.")
    with pytest.raises(StoreMisconfigured, match=f"{number}.*Login failed"):
        setup.open().list()


@pytest.mark.parametrize("answer", [Drop(), Reset(), Silence()], ids=["dropped", "reset", "silent"])
@pytest.mark.parametrize("phase", ["accept", "login"])
def test_login_that_breaks_off_means_unavailable_within_the_timeout(setup: Setup, phase: str, answer: Answer) -> None:
    if phase == "accept":
        setup.server.on_accept = lambda: answer
    else:
        setup.server.on_login = lambda login: answer
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        setup.open().list()
    assert time.monotonic() - began < WITHIN_SECONDS


def test_server_that_nobody_runs_means_unavailable(setup: Setup) -> None:
    with TdsServer() as other:
        port = other.port
    with pytest.raises(StoreUnavailable):
        setup.open(odbc=connection_string(setup.driver, port)).list()


def test_server_that_wakes_up_meanwhile_is_waited_for_by_who_can_wait(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Answer] = [Error(40613), Error(40613)]
    setup.server.on_login = lambda login: answers.pop() if answers else None
    monkeypatch.setattr("swim_server.sql.retry._backoff", lambda state: 0.01)
    assert setup.open(patience_seconds=60).list() == []
    assert len(setup.server.logins) == 3


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_password_arrives_as_it_is_in_every_way_of_giving_it(setup: Setup, password: str, tmp_path: Path) -> None:
    in_file = tmp_path / "password"
    in_file.write_text(password + "\n", encoding="utf-8")
    port, driver = setup.server.port, driver_path(setup.driver)
    bare = connection_string(setup.driver, port, user="", password="").replace("PWD={};", "").replace(";PWD={}", "")
    options = "Encrypt=no" if setup.driver == "microsoft" else "TDS_Version=7.4"
    url = f"mssql+pyodbc://127.0.0.1:{port}/swim?driver={driver}&{options}"
    ways = [{"odbc": bare, "password": password}, {"odbc": bare, "password_file": str(in_file)}]
    ways += [{"url": url, "password": password}]
    for way in ways:
        setup.open(username="sa", **way).list()
    assert {(login.user, login.password) for login in setup.server.logins} == {("sa", password)}


# Statements


@pytest.mark.parametrize("number", sorted(PASSING_NUMBERS))
def test_passing_error_in_a_query_means_unavailable_and_the_connection_is_thrown_away(
    setup: Setup, number: int
) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = on_reading(Error(number), times=2)
    with pytest.raises(StoreUnavailable) as caught:
        store.list()
    assert caught.value.number == number
    logins = len(setup.server.logins)
    setup.server.on_statement = lambda sql: None
    assert store.list() == []
    assert len(setup.server.logins) == logins + 1


@pytest.mark.parametrize("number", sorted(CONFLICT_NUMBERS))
def test_lost_deadlock_repeats_the_whole_transaction_once(setup: Setup, number: int) -> None:
    store = setup.open()
    store.list()
    answers: list[Answer] = [Error(number, "was deadlocked")]
    setup.server.on_statement = lambda sql: answers.pop() if answers and "swim_audit_log" in sql else None
    issued = store.create(new_key(), OPERATOR)
    assert [record.id for record in store.list()] == [issued.record.id]
    assert len(setup.server.logins) == 1


@pytest.mark.parametrize(
    ("number", "text", "name"),
    [(208, "Invalid object name 'dbo.swim_api_keys'.", "swim_api_keys"), (207, "Invalid column name 'tier'.", "tier")],
)
def test_missing_table_or_column_is_named(setup: Setup, number: int, text: str, name: str) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = on_reading(Error(number, text))
    with pytest.raises(SchemaMissing, match=name):
        store.list()


def test_other_error_in_a_query_is_told_and_the_connection_kept(setup: Setup) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = on_reading(Error(229, "The SELECT permission was denied."))
    with pytest.raises(StoreMisconfigured, match=r"229.*permission"):
        store.list()
    assert store.list() == []
    assert len(setup.server.logins) == 1


@pytest.mark.parametrize("answer", [Drop(), Reset()], ids=["dropped", "reset"])
def test_pooled_connection_that_died_is_replaced_at_once(setup: Setup, answer: Answer) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = on_reading(answer)
    assert store.list() == []
    assert len(setup.server.logins) == 2


def test_connections_that_the_server_closed_while_idle_are_replaced_at_once(setup: Setup) -> None:
    store = setup.open()
    issued = store.create(new_key(), OPERATOR)
    setup.server.drop_all()
    assert store.find(issued.api_key) == issued.record
    setup.server.drop_all()
    assert not store.revoke(issued.record.id, None, OPERATOR).is_active


def test_silent_query_ends_by_its_timeout_and_its_connection_is_thrown_away(setup: Setup) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = on_reading(Silence())
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.list()
    assert time.monotonic() - began < WITHIN_SECONDS
    assert store.list() == []
    assert len(setup.server.logins) == 2


def test_break_at_the_commit_is_an_unknown_outcome_and_is_not_repeated(setup: Setup) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = lambda sql: Drop() if "COMMIT" in sql else None
    with pytest.raises(OutcomeUnknown):
        store.create(new_key(), OPERATOR)
    setup.server.on_statement = lambda sql: None
    assert len([sql for sql in setup.server.sql if sql.startswith("INSERT INTO swim_api_keys")]) == 1
    assert store.list() == []


def test_break_before_the_commit_leaves_nothing_and_is_repeated(setup: Setup) -> None:
    store = setup.open()
    store.list()
    answers: list[Answer] = [Drop()]
    setup.server.on_statement = lambda sql: answers.pop() if answers and "swim_audit_log" in sql else None
    store.create(new_key(), OPERATOR)
    assert len(store.list()) == 1
    assert len(store.audit()) == 1


def test_no_error_text_holds_a_password_or_a_key(setup: Setup) -> None:
    store = setup.open()
    issued = store.create(new_key(), OPERATOR)
    texts = []
    for answer in (Error(40613), Error(18456), Error(102), Drop()):
        setup.server.on_statement = on_reading(answer, times=2)
        with pytest.raises(StoreError) as caught:
            store.find(issued.api_key)
        texts.append(
            repr(caught.value) + str(caught.value) + repr(caught.value.__cause__) + str(caught.value.__cause__)
        )
    assert not [text for text in texts if issued.api_key in text or "s3cret" in text]


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """The TLS context of a server called ``localhost``, and the file of the authority that signed its certificate."""
    signer = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    signer.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "authority.pem"
    signer.cert_pem.write_to_path(str(path))
    return context, path


def test_encryption_is_on_and_the_certificate_verified_by_default(
    tmp_path: Path, authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft's driver 18 encrypts unless told otherwise; a certificate that nobody signed is refused."""
    context, signer = authority
    with TdsServer(SqliteStatements(tmp_path / "behind.db"), tls=context) as server:
        default = connection_string("microsoft", server.port, Encrypt="")
        with pytest.raises(StoreMisconfigured, match="certificate is not trusted"):
            open_once(default, tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(signer))
        with pytest.raises(StoreMisconfigured, match="subject name does not match"):
            open_once(default, tmp_path)
        assert server.logins == []
        for more in ("HostNameInCertificate=localhost", "TrustServerCertificate=yes"):
            open_once(f"{default};{more}", tmp_path)
        assert server.encrypted == [True, True]


def test_password_is_encrypted_even_where_the_rest_is_not(
    tmp_path: Path, authority: tuple[ssl.SSLContext, Path]
) -> None:
    with TdsServer(SqliteStatements(tmp_path / "behind.db"), tls=authority[0]) as server:
        open_once(connection_string("microsoft", server.port, Encrypt="no") + ";TrustServerCertificate=yes", tmp_path)
        assert server.encrypted == [True]


def test_freetds_encrypts_when_asked_to(tmp_path: Path, authority: tuple[ssl.SSLContext, Path]) -> None:
    with TdsServer(SqliteStatements(tmp_path / "behind.db"), tls=authority[0]) as server:
        open_once(connection_string("freetds", server.port, Encryption="require"), tmp_path)
        assert server.encrypted == [True]


def test_server_without_tls_is_refused_by_a_client_that_asks_for_it(tmp_path: Path) -> None:
    with TdsServer() as server:
        with pytest.raises(StoreError):
            open_once(connection_string("microsoft", server.port, Encrypt="yes"), tmp_path)
        assert server.logins == []


def open_once(odbc: str, tmp_path: Path) -> None:
    """Connect and hang up."""
    database = open_database(DatabaseConfig(odbc=odbc, connect_timeout_seconds=2), tmp_path / "unused.db")
    try:
        database.read(lambda connection: None)
    finally:
        database.close()


# Tokens


def test_managed_identity_logs_in_with_a_token_and_nothing_else(
    tmp_path: Path, authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "swim_server.sql.managed_identity.fetch_directly",
        lambda address, headers, timeout: b'{"access_token": "eyJ0.t\xc3\xb6ken", "expires_on": "99999999999"}',
    )
    with TdsServer(SqliteStatements(tmp_path / "behind.db"), tls=authority[0]) as server:
        driver = driver_path("microsoft")
        odbc = f"Driver={driver};Server=127.0.0.1,{server.port};Database=swim;TrustServerCertificate=yes"
        url = f"mssql+pyodbc://127.0.0.1:{server.port}/swim?driver={driver}&TrustServerCertificate=yes"
        for config in (
            DatabaseConfig(odbc=odbc, authentication="managed-identity", connect_timeout_seconds=2),
            DatabaseConfig(url=url, authentication="managed-identity", connect_timeout_seconds=2),
        ):
            database = open_database(config, tmp_path / "unused.db")
            database.read(lambda connection: None)
            database.close()
        assert [(login.token, login.user, login.password) for login in server.logins] == [("eyJ0.töken", "", "")] * 2


# The machine


def test_missing_odbc_library_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyodbc", None)
    with pytest.raises(StoreMisconfigured, match="apt-get install -y --no-install-recommends libodbc2"):
        open_database(DatabaseConfig(url="mssql+pyodbc://u:p@h/d"), tmp_path / "unused.db")


def test_missing_driver_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_string("freetds", 1)
    monkeypatch.setattr("pyodbc.drivers", list)
    with pytest.raises(StoreMisconfigured, match="no ODBC driver for SQL Server found: apt-get install tdsodbc"):
        open_database(DatabaseConfig(url="mssql+pyodbc://u:p@h/d"), tmp_path / "unused.db")


def test_driver_that_is_named_and_not_there_is_told_with_its_remedy(tmp_path: Path) -> None:
    connection_string("freetds", 1)
    with pytest.raises(StoreMisconfigured, match=r"'No Such Driver' is not installed; there are: .*FreeTDS"):
        open_once("Driver={No Such Driver};Server=127.0.0.1;UID=x;PWD=y", tmp_path)


@pytest.mark.parametrize("answer", [Drop(), Reset(), Error(40613, "Database is not currently available.")],
                         ids=["dropped", "reset", "waking"])  # fmt: skip
def test_first_statement_of_a_connection_that_is_lost_means_unavailable(setup: Setup, answer: Answer) -> None:
    """SQLAlchemy goes on with a connection that it has to throw away in the middle of its first questions."""
    setup.server.on_statement = lambda sql: answer if sql.strip().upper().startswith("SELECT") else None
    with pytest.raises(StoreUnavailable) as caught:
        setup.open().list()
    if isinstance(answer, Error):
        assert caught.value.number == 40613
    setup.server.on_statement = lambda sql: None


def test_trigger_that_raises_and_rolls_back_is_told_by_its_own_error(setup: Setup) -> None:
    store = setup.open()
    store.list()

    def script(sql: str) -> Answer:
        if sql.startswith("INSERT"):
            return Error(50000, "Keys are made elsewhere.", 16)
        return Error(3903, "The ROLLBACK TRANSACTION request has no BEGIN.", 16) if "ROLLBACK" in sql else None

    setup.server.on_statement = script
    with pytest.raises(StoreMisconfigured, match=r"50000.*Keys are made elsewhere"):
        store.create(new_key(), OPERATOR)


def test_silent_server_is_waited_for_once_by_who_can_wait(setup: Setup) -> None:
    tries: list[int] = []

    def accept() -> Answer:
        tries.append(1)
        return Silence()

    setup.server.on_accept = accept
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        setup.open(patience_seconds=60).list()
    assert time.monotonic() - began < WITHIN_SECONDS, "its patience would have been 60 s"


def test_row_that_a_trigger_swallows_or_changes_is_told(setup: Setup) -> None:
    store = setup.open()
    store.list()
    setup.server.on_statement = lambda sql: wire.affected(1) if sql.startswith("INSERT INTO swim_api_keys") else None
    with pytest.raises(StoreMisconfigured, match="triggers of swim_api_keys"):
        store.create(new_key(), OPERATOR)


@pytest.mark.parametrize("driver", ["freetds"])
def test_port_in_a_url_is_written_as_freetds_reads_it(driver: str, tmp_path: Path) -> None:
    statements = SqliteStatements(tmp_path / "behind.db")
    statements.create_tables()
    path = driver_path(driver)
    with TdsServer(statements) as server:
        url = f"mssql+pyodbc://sa:x@127.0.0.1:{server.port}/swim?driver={path}&TDS_Version=7.4"
        database = open_database(DatabaseConfig(url=url, connect_timeout_seconds=2), tmp_path / "unused.db")
        store = KeyStore(database, clock=VirtualClock(), randbytes=SeededBytes(1))
        assert store.list() == []
        store.close()
