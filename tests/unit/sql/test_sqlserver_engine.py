"""Connection strings and credentials for SQL Server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from swim_server.config import DatabaseConfig
from swim_server.sql.errors import StoreMisconfigured
from swim_server.sql.sqlserver_engine import odbc_string, read_password

PYODBC: Any = SimpleNamespace(drivers=lambda: ["ODBC Driver 18 for SQL Server", "FreeTDS"])
FREETDS: Any = SimpleNamespace(drivers=lambda: ["FreeTDS"])
EIGHTEEN = "DRIVER={ODBC Driver 18 for SQL Server};Server="


def text(url: str = "mssql+pyodbc://", pyodbc: Any = PYODBC, **config: Any) -> str:
    return odbc_string(make_url(url), DatabaseConfig(**config), pyodbc)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"url": "mssql+pyodbc://u:p@h/d"}, EIGHTEEN + "h;Database=d;UID={u};PWD={p};"),
        ({"url": "mssql+pyodbc://u@h:1434/d", "password": "p;}"}, EIGHTEEN + "h,1434;Database=d;UID={u};PWD={p;}}};"),
        ({"url": "mssql+pyodbc://h/d"}, EIGHTEEN + "h;Database=d;Trusted_Connection=Yes;"),
        ({"url": "mssql+pyodbc://h/d?Encrypt=no", "username": "u"}, EIGHTEEN + "h;Database=d;Encrypt=no;UID={u};"),
        ({"url": "mssql+pyodbc://u:p@name"}, "dsn=name;UID={u};PWD={p};"),
        (
            {"url": "mssql+pyodbc://?odbc_connect=Driver%3DX%3BServer%3Dh", "password": "p"},
            "Driver=X;Server=h;PWD={p};",
        ),
        ({"odbc": "Driver=X;Server=h;UID=u;PWD=p"}, "Driver=X;Server=h;UID=u;PWD=p;"),
        ({"odbc": "Driver=X;UID=u; ", "username": "v", "password": "p"}, "Driver=X;UID=u;PWD={p};"),
        ({"odbc": "Driver={FreeTDS};", "username": "u", "password": "p;}"}, "Driver={FreeTDS};UID={u};PWD={p;}};"),
        ({"url": "mssql+pyodbc://h/d", "authentication": "managed-identity"}, EIGHTEEN + "h;Database=d;"),
    ],
)
def test_connection_string_has_the_credentials_that_belong_to_it(given: dict[str, Any], expected: str) -> None:
    assert text(**given) == expected


def test_only_freetds_is_told_which_protocol_to_speak() -> None:
    assert (
        text("mssql+pyodbc://u:p@h/d", FREETDS)
        == "DRIVER={FreeTDS};Server=h;Database=d;TDS_Version=7.4;UID={u};PWD={p};"
    )


def test_password_that_freetds_cannot_take_is_told() -> None:
    with pytest.raises(StoreMisconfigured, match="FreeTDS"):
        text(odbc="Driver=FreeTDS", password="a};b")


@pytest.mark.parametrize(
    "given",
    [
        {"odbc": "Driver=X;UID=u"},
        {"odbc": "Driver=X; PWD = u"},
        {"odbc": "Driver=X;Authentication=ActiveDirectoryMsi"},
        {"odbc": "Driver=X", "password": "p"},
        {"url": "mssql+pyodbc://u@h/d"},
    ],
)
def test_credentials_beside_a_managed_identity_are_told(given: dict[str, str]) -> None:
    with pytest.raises(StoreMisconfigured, match="managed identity"):
        text(authentication="managed-identity", **given)


def test_managed_identity_with_freetds_is_told() -> None:
    with pytest.raises(StoreMisconfigured, match="msodbcsql18"):
        text("mssql+pyodbc://h/d", FREETDS, authentication="managed-identity")


def test_password_file_gives_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" s3cret \r\nnot this\n", encoding="utf-8")
    assert read_password(DatabaseConfig(password_file=str(path))) == " s3cret "


@pytest.mark.parametrize("config", [{"password_file": "/nowhere/at/all"}, {"password_file": "x", "password": "y"}])
def test_password_that_cannot_be_read_or_stands_twice_is_told(config: dict[str, Any]) -> None:
    with pytest.raises(StoreMisconfigured, match="password_file"):
        read_password(DatabaseConfig(**config))
