"""Secrets are never shown."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from swim_server.config import Config, ConfigError, load
from swim_server.config.redaction import url_without_secrets
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
        ("odbc", "Driver={x};PWD={ge}heim};Server=h", "Driver={x};PWD=***"),
        ("odbc", "Driver={x};PWD={ge}};he;im}};x=1;Server=h", "Driver={x};PWD=***"),
        ("odbc", "PWD={};Server=h", "PWD=***;Server=h"),
        ("odbc", "PWD=ge{he;Server=h;Password=im}", "PWD=***;Server=h;Password=***"),
        (
            "odbc",
            "Driver=x;KeystoreSecret=geheim;Access Token = geheim",
            "Driver=x;KeystoreSecret=***;Access Token = ***",
        ),
        ("url", "mssql+pyodbc://sa@corp:geheim@host/db", "mssql+pyodbc://sa@corp:***@host/db"),
        ("url", "mssql+pyodbc://:geheim@host/db", "mssql+pyodbc://:***@host/db"),
        ("url", "mssql+pyodbc://sa:ge?he=im&x@host/db", "mssql+pyodbc://sa:***@host/db"),
        ("url", "mssql+pyodbc://sa:ge%40he%7Bim@host/db", "mssql+pyodbc://sa:***@host/db"),
        ("url", "mssql+pyodbc://sa@host:1433/db", "mssql+pyodbc://sa@host:1433/db"),
        ("url", "mssql+pyodbc://h/db?p%57d=geheim&driver=x", "mssql+pyodbc://h/db?p%57d=***&driver=x"),
        ("password", "geheim", "***"),
    ],
)
def test_secret_in_a_database_setting_is_hidden_and_nothing_else(setting: str, value: str, shown: str) -> None:
    values = msgspec.to_builtins(Config())
    values["database"][setting] = value
    assert without_secrets(values)["database"][setting] == shown
    assert values["database"][setting] == value


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:geheim@feed.example.org/data.json", "https://***@feed.example.org/data.json"),
        ("https://geheim@feed.example.org/data.json", "https://***@feed.example.org/data.json"),
        ("https://feed.example.org/a@b?api_key=geheim&page=1", "https://feed.example.org/a@b?api_key=***&page=1"),
        ("https://data.vatsim.net/v3/vatsim-data.json", "https://data.vatsim.net/v3/vatsim-data.json"),
        ("https://f.example.org/v3?token=t&X-Amz-Sig=g", "https://f.example.org/v3?token=***&X-Amz-Sig=***"),
        ("https://f.example.org/v3?whatever=geheim&client=me", "https://f.example.org/v3?whatever=***&client=me"),
        ("https://f.example.org/v3.json?geheim", "https://f.example.org/v3.json?***"),
        ("wss://h/api?a=&max_message_bytes=4096", "wss://h/api?a=***&max_message_bytes=4096"),
        ("mssql+pyodbc://h/db?AccessToken=g&Encrypt=yes", "mssql+pyodbc://h/db?AccessToken=***&Encrypt=yes"),
        ("redis://:geheim@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://me:ge/h@eim@host:6379/0", "rediss://me:***@host:6379/0"),
        ("local", "local"),
    ],
)
def test_secret_in_any_url_is_hidden(url: str, shown: str) -> None:
    assert url_without_secrets(url) == shown


def test_secret_in_a_sources_url_is_hidden() -> None:
    values = msgspec.to_builtins(Config())
    values["sources"] = [{"kind": "vatsim", "name": "feed", "url": "https://me:geheim@feed.example.org/"}]
    assert "geheim" not in str(without_secrets(values))


@pytest.mark.parametrize(
    ("table", "setting", "value"),
    [
        ("database", "url", "oracle://sa:geheim@host"),
        ("database", "url", "geheim"),
        ("database", "odbc", "geheim"),
        ("broker", "url", "redis://:geheim@ho st:x"),
        ("server", "public_url", "http://me:geheim@host"),
        ("database", "password", ["geheim"]),
        ("adl", "url", "oracle://sa:geheim@host"),
        ("adl.x.flights", "url", "oracle://sa:geheim@host"),
        ("database", "pool_size", "Driver=x;PWD={geheim};UID=sa"),
    ],
)
def test_setting_that_is_refused_is_not_shown_with_its_secret(
    table: str, setting: str, value: object, tmp_path: Path
) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(f"[{table}]\n{setting} = {json.dumps(value)}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, environ={}, overrides={}, home=tmp_path)
    assert "geheim" not in str(caught.value)


def test_feed_address_that_is_refused_is_not_shown_with_its_secret(tmp_path: Path) -> None:
    file = tmp_path / "swim.toml"
    file.write_text('[[sources]]\nkind = "vatsim"\nname = "x"\nurl = "ftp://me:geheim@host/"\n')
    with pytest.raises(ConfigError) as caught:
        load(file, environ={}, overrides={}, home=tmp_path)
    assert "geheim" not in str(caught.value)
