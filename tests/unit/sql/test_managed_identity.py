"""Tokens of managed identities: where they are asked for, how long they are kept, what goes wrong."""

from __future__ import annotations

import io
import json
import struct
import urllib.error
from collections.abc import Mapping
from email.message import Message
from urllib.parse import parse_qs, urlsplit

import pytest
from support.virtual_clock import VirtualClock
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable
from swim_server.sql.managed_identity import ManagedIdentity, encode_token


class Endpoint:
    """An identity endpoint: counts what it is asked, and answers or fails as told."""

    def __init__(self, *, expires_on: object = "10000") -> None:
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.failure: Exception | None = None
        self.body: bytes | None = None
        self.expires_on = expires_on

    def __call__(self, address: str, headers: Mapping[str, str], timeout_seconds: float) -> bytes:
        self.requests.append((address, headers))
        if self.failure is not None:
            raise self.failure
        answer = {"access_token": f"token {len(self.requests)}", "expires_on": self.expires_on, "token_type": "Bearer"}
        return self.body if self.body is not None else json.dumps(answer).encode()


def at(seconds: float) -> VirtualClock:
    clock = VirtualClock()
    clock.wall_ms = seconds * 1000
    return clock


def identity(endpoint: Endpoint, clock: VirtualClock, **environ: str) -> ManagedIdentity:
    return ManagedIdentity(client_id=None, environ=environ, clock=clock, fetch=endpoint)


def refusal(code: int, body: bytes = b"") -> urllib.error.HTTPError:
    return urllib.error.HTTPError("http://x", code, "no", Message(), io.BytesIO(body))


def test_token_is_encoded_as_the_driver_wants_it() -> None:
    raw = "tök".encode("utf-16-le")
    assert encode_token("tök") == struct.pack("<I", len(raw)) + raw


def test_machine_is_asked_at_its_fixed_address() -> None:
    endpoint = Endpoint()
    assert identity(endpoint, at(0)).token() == encode_token("token 1")
    address, headers = endpoint.requests[0]
    assert address.startswith("http://169.254.169.254/metadata/identity/oauth2/token?")
    assert parse_qs(urlsplit(address).query)["resource"] == ["https://database.windows.net/"]
    assert headers == {"Metadata": "true"}


def test_app_is_asked_where_its_environment_says_with_its_secret() -> None:
    endpoint = Endpoint()
    environ = {"IDENTITY_ENDPOINT": "http://localhost:4141/msi", "IDENTITY_HEADER": "s3cret"}
    ManagedIdentity(client_id="me", environ=environ, clock=at(0), fetch=endpoint).token()
    address, headers = endpoint.requests[0]
    assert address.startswith("http://localhost:4141/msi?")
    assert parse_qs(urlsplit(address).query)["client_id"] == ["me"]
    assert headers == {"X-IDENTITY-HEADER": "s3cret"}


def test_token_is_kept_until_five_minutes_before_its_end() -> None:
    endpoint, clock = Endpoint(expires_on=10_000), at(0)
    tokens = identity(endpoint, clock)
    tokens.token()
    clock.wall_ms = 9_699_000
    assert tokens.token() == encode_token("token 1")
    clock.wall_ms = 9_700_000
    assert tokens.token() == encode_token("token 2")


def test_token_whose_end_is_not_told_is_used_once() -> None:
    endpoint = Endpoint(expires_on="soon")
    tokens = identity(endpoint, at(0))
    tokens.token()
    assert tokens.token() == encode_token("token 2")


@pytest.mark.parametrize(
    "failure", [TimeoutError("slow"), ConnectionRefusedError("no"), refusal(503), refusal(429), refusal(404)]
)
def test_endpoint_that_is_not_there_yet_is_unavailable(failure: Exception) -> None:
    endpoint = Endpoint()
    endpoint.failure = failure
    with pytest.raises(StoreUnavailable, match="identity endpoint"):
        identity(endpoint, at(0)).token()


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"access_token": 7, "expires_on": 1}', b"[]"])
def test_answer_without_a_token_is_unavailable(body: bytes) -> None:
    endpoint = Endpoint()
    endpoint.body = body
    with pytest.raises(StoreUnavailable, match="gave no token"):
        identity(endpoint, at(0)).token()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error_description": "Identity not found"}', "Identity not found"),
        (b"nonsense", "assigned"),
        (b"[1]", "assigned"),
    ],
)
def test_refusal_is_told_with_the_endpoints_words(body: bytes, expected: str) -> None:
    endpoint = Endpoint()
    endpoint.failure = refusal(400, body)
    with pytest.raises(StoreMisconfigured, match=expected):
        identity(endpoint, at(0)).token()
