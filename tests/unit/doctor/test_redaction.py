"""No secret leaves in a bundle, and everything else stays readable."""

from __future__ import annotations

import json

import pytest

from swimctl.doctor.redaction import redact

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuv012345"


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} refused",
        "swim_dev_hp_s3cret",
        "swim_0f8fad5b-d9cb-469f-a165-70867728950e",
        "GET /?api_key=s3cret&x=1",
        "?apiKey=s3cret HTTP/1.1",
        "?key=s3cret",
        "the feed https://me:s3cret@host/v3.json?token=s3cret&sig=s3cret&se=s3cret, tried again",
        "Authorization: Bearer s3cret",
        "X-SWIM-API-Key: s3cret",
        'password = "s3cret with spaces"',
        "password = 's3cret'",
        "Driver=x;UID=y;PWD={s3cret;}",
        "mssql+pyodbc://me:s3cret@host/db",
        "mssql+pyodbc://me:s3c@ret/@host/db",
        '{"access_token": "s3cret"}',
        '{"password": "a\\"s3cret"}',
        "sha256$s3cret_s3cret",
        "the word is correct horse battery",
    ],
)
def test_secret_is_taken_out(text: str) -> None:
    cleaned = redact(text, ["correct horse battery", "", "abc"])
    for secret in ("s3cret", KEY, "0f8fad5b", "correct horse", "s3c@ret"):
        assert secret not in cleaned
    assert "***" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "swim_server/config.py: changed",
        "table swim_api_keys, swim_audit_log",
        "fingerprint 0123456789ab",
        "ws://127.0.0.1:8090/api/swim/v1/ws",
        '{"keys": {"cached": 3}}',
        "abc",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text, ["", "abc"]) == text


def test_json_stays_json() -> None:
    document = {"SWIM_API_KEY": KEY, "password": 'a"b\\c', "url": "sqlite://u:p@h/x", "files": {"swimctl/a.py": "0f"}}
    found = json.loads(redact(json.dumps(document), [KEY]))
    assert found["password"] == "***"
    assert found["files"] == document["files"]
