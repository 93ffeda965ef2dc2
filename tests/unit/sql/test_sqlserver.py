"""What SQL Server's drivers report: the texts are theirs, as observed."""

from __future__ import annotations

import pytest
from swim_server.sql.errors import PermissionDenied, SchemaMissing, StoreMisconfigured, StoreUnavailable
from swim_server.sql.sqlserver import Fault, choose_driver, explain_fault, read_fault

MS = "[Microsoft][ODBC Driver 18 for SQL Server]"
CAUGHT = [
    (("42000", f"[42000] {MS}[SQL Server]Database is moving. (40613) (SQLDriverConnect)"), 40613, True),
    (("HY000", f"[HY000] {MS}[SQL Server]The service is busy. (40501) (SQLExecDirectW)"), 40501, True),
    (("40001", f"[40001] {MS}[SQL Server]was deadlocked (1205) (SQLExecDirectW)"), 1205, True),
    (("28000", f"[28000] {MS}[SQL Server]Login failed for user 'sa'. (18456) (SQLDriverConnect)"), 18456, False),
    (
        (
            "42000",
            f"[42000] {MS}[SQL Server]Cannot open database. (4060) (SQLDriverConnect); [28000] {MS}No login (18456)",
        ),
        4060,
        True,
    ),
    (("HYT00", f"[HYT00] {MS}Login timeout expired (0) (SQLDriverConnect)"), 0, True),
    (("08S01", f"[08S01] {MS}TCP Provider: Error code 0x2746 (10054) (SQLExecDirectW)"), 10054, True),
    (("42S02", f"[42S02] {MS}[SQL Server]Invalid object name 'x'. (208) (SQLExecDirectW)"), 208, False),
    (("01000", "[01000] [FreeTDS][SQL Server]Unexpected EOF from the server (20017) (SQLExecDirectW)"), 0, True),
    (("08001", f"[08001] {MS}SSL Provider: [certificate verify failed:x] (-1) (SQLDriverConnect)"), 0, False),
    (("HY000", "[HY000] [FreeTDS][SQL Server]Unknown error (0) (SQLExecDirectW)"), 0, True),
    (("40615", "[40615] something else entirely"), 0, False),
    ((), 0, False),
]


@pytest.mark.parametrize(("arguments", "number", "is_passing"), CAUGHT)
def test_number_and_kind_are_read_out_of_the_text(arguments: tuple[str, ...], number: int, is_passing: bool) -> None:
    fault = read_fault(arguments)
    assert (fault.number, fault.is_passing) == (number, is_passing)


def test_text_is_the_first_message_without_brackets() -> None:
    assert read_fault(CAUGHT[4][0]).text == "Cannot open database."


@pytest.mark.parametrize(
    ("arguments", "was_used", "at_once"),
    [
        (CAUGHT[0][0], True, False),
        (CAUGHT[2][0], False, True),
        (CAUGHT[5][0], True, False),
        (CAUGHT[6][0], True, True),
        (CAUGHT[6][0], False, False),
        (CAUGHT[8][0], True, True),
        (CAUGHT[10][0], True, True),
    ],
)
def test_what_another_connection_helps_against_is_repeated_at_once(
    arguments: tuple[str, ...], was_used: bool, at_once: bool
) -> None:
    error = explain_fault(read_fault(arguments), was_used)
    assert isinstance(error, StoreUnavailable)
    assert error.repeat_at_once is at_once


@pytest.mark.parametrize("place", [0, 1, 4, 5, 6, 8, 10])
def test_connection_is_thrown_away_after_whatever_is_not_about_a_statement(place: int) -> None:
    assert read_fault(CAUGHT[place][0]).spoils_connection


@pytest.mark.parametrize("place", [2, 3, 7])
def test_connection_is_kept_after_a_complaint_about_a_statement(place: int) -> None:
    assert not read_fault(CAUGHT[place][0]).spoils_connection


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        (CAUGHT[3][0], StoreMisconfigured, "18456"),
        (
            ("42S02", "[42S02] Invalid object name 'dbo.swim_api_keys'. (208) (SQLExecDirectW)"),
            SchemaMissing,
            "table swim_api_keys:",
        ),
        (("42S22", "[42S22] Invalid column name 'tier'. (207) (SQLExecDirectW)"), SchemaMissing, "swim_api_keys: tier"),
        (CAUGHT[9][0], StoreMisconfigured, "certificate is not trusted"),
        (
            ("42000", "[42000] The SELECT permission was denied on the object 'x'. (229) (SQLExecDirectW)"),
            PermissionDenied,
            "SELECT permission",
        ),
        (
            ("42000", "[42000] CREATE TABLE permission denied in database 'swim'. (262) (SQLExecDirectW)"),
            StoreMisconfigured,
            "db upgrade --sql",
        ),
        (
            ("01000", "[01000] [unixODBC]Can't open lib 'x' (0) (SQLDriverConnect)"),
            StoreMisconfigured,
            "no ODBC driver",
        ),
        (
            ("IM002", "[IM002] [unixODBC]Data source name not found (0) (SQLDriverConnect)"),
            StoreMisconfigured,
            "tdsodbc",
        ),
    ],
)
def test_what_a_person_must_see_to_is_told(arguments: tuple[str, str], kind: type[Exception], expected: str) -> None:
    error = explain_fault(read_fault(arguments), True)
    assert type(error) is kind
    assert expected in str(error)


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        (
            ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"],
            "ODBC Driver 18 for SQL Server",
        ),
        (["SQLite3", "FreeTDS"], "FreeTDS"),
        (["ODBC Driver 19 for SQL Server"], "ODBC Driver 19 for SQL Server"),
    ],
)
def test_best_driver_is_chosen(installed: list[str], chosen: str) -> None:
    assert choose_driver(installed) == chosen


@pytest.mark.parametrize("installed", [[], ["SQLite3", "PostgreSQL Unicode"]])
def test_no_driver_is_told_with_its_remedy(installed: list[str]) -> None:
    with pytest.raises(StoreMisconfigured) as caught:
        choose_driver(installed)
    assert str(caught.value) == (
        "no ODBC driver for SQL Server found: apt-get install tdsodbc, or msodbcsql18 from Microsoft, "
        "then run swimctl doctor --only database"
    )


@pytest.mark.parametrize("number", [18456, 911, 229, 3903, 50000])
def test_what_the_server_says_is_the_problem_and_the_remedy_a_command(number: int) -> None:
    error = explain_fault(Fault("42000", number, "The server's own sentence."), was_used=False)
    assert isinstance(error, StoreMisconfigured)
    assert error.problem == f"the key database refuses ({number}): The server's own sentence"
    assert error.remedy.startswith("swimctl ")


def test_driver_that_is_not_installed_is_named_beside_those_that_are() -> None:
    fault = Fault("01000", 0, "Can't open lib 'Nope 19' : file not found")
    error = explain_fault(fault, was_used=False, installed=["FreeTDS", "SQLite3"])
    assert str(error).startswith("the ODBC driver 'Nope 19' is not installed; there are: FreeTDS, SQLite3")


def test_freetds_own_numbers_are_not_the_servers() -> None:
    text = "[08001] [FreeTDS][SQL Server]Unable to connect to data source (20009) (SQLDriverConnect)"
    error = explain_fault(read_fault(("08001", text)), was_used=False)
    assert isinstance(error, StoreUnavailable)
    assert error.number is None
    assert not error.is_worth_waiting
