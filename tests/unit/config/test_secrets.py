"""Secrets are never shown."""

from __future__ import annotations

import msgspec
import pytest
from swim_server.config import Config
from swim_server.config.secrets import without_secrets


@pytest.mark.parametrize(
    ("setting", "value", "shown"),
    [
        ("url", "mssql+pyodbc://sa:geheim@host/db", "mssql+pyodbc://sa:***@host/db"),
        ("url", "mssql+pyodbc://sa:ge@he:i/m@host/db?driver=x", "mssql+pyodbc://sa:***@host/db?driver=x"),
        ("url", "mssql+pyodbc:///?odbc_connect=Driver%3Dx%3BPWD%3Dgeheim", "mssql+pyodbc:///?odbc_connect=***"),
        ("url", "mssql+pyodbc://h/db?PWD=geheim&driver=x", "mssql+pyodbc://h/db?PWD=***&driver=x"),
        ("url", "sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("odbc", "Driver={x};UID=sa;PWD=geheim;Server=h", "Driver={x};UID=sa;PWD=***;Server=h"),
        ("odbc", "Driver={x};Pwd = {ge;he}}im};Server=h", "Driver={x};Pwd = ***;Server=h"),
        ("odbc", "Password=geheim", "Password=***"),
        ("password", "geheim", "***"),
    ],
)
def test_secret_in_a_database_setting_is_hidden_and_nothing_else(setting: str, value: str, shown: str) -> None:
    values = msgspec.to_builtins(Config())
    values["database"][setting] = value
    assert without_secrets(values)["database"][setting] == shown
    assert values["database"][setting] == value
