"""Access tokens of the machine or app that this runs on, from Azure's endpoints for managed identities."""

from __future__ import annotations

import json
import os
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.sql.errors import StoreMisconfigured, StoreUnavailable

RESOURCE = "https://database.windows.net/"
MACHINE_ENDPOINT = "http://169.254.169.254/metadata/identity/oauth2/token"
TIMEOUT_SECONDS = 5.0
RENEW_BEFORE_SECONDS = 300
"""How long before its end a token is renewed."""

Fetch = Callable[[str, Mapping[str, str], float], bytes]
"""Performs a GET with headers and a timeout in seconds. Raises OSError, of which HTTPError is one."""


class TokenSource(Protocol):
    """Supplies access tokens as the ODBC driver takes them."""

    def token(self) -> bytes: ...


class _Answer(msgspec.Struct):
    """The common part of both endpoints' answers."""

    access_token: str
    expires_on: int | float | str


class ManagedIdentity:
    """Requests tokens and keeps each until shortly before it ends. Blocking and thread-safe."""

    def __init__(
        self,
        *,
        client_id: str | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Clock = SYSTEM_CLOCK,
        fetch: Fetch | None = None,
    ) -> None:
        self._client_id = client_id
        self._environ = environ
        self._clock = clock
        self._fetch = fetch or fetch_directly
        self._lock = threading.Lock()
        self._token: bytes | None = None
        self._ends_at = 0.0

    def token(self) -> bytes:
        """Return the token for attribute 1256. Raises StoreUnavailable, StoreMisconfigured."""
        with self._lock:
            if self._token is None or self._clock.now_ms() / 1000 >= self._ends_at - RENEW_BEFORE_SECONDS:
                answer = self._ask()
                self._token, self._ends_at = encode_token(answer.access_token), self._end_of(answer)
            return self._token

    def _ask(self) -> _Answer:
        address, headers = self._request()
        try:
            return msgspec.json.decode(self._fetch(address, headers, TIMEOUT_SECONDS), type=_Answer)
        except urllib.error.HTTPError as error:
            if error.code in {404, 410, 429} or error.code >= 500:
                raise StoreUnavailable(f"the identity endpoint answers {error.code}") from None
            raise StoreMisconfigured(f"the identity endpoint refuses ({error.code})", _reason(error)) from None
        except OSError as error:
            raise StoreUnavailable(f"the identity endpoint can't be reached: {error}") from None
        except msgspec.MsgspecError as error:
            raise StoreUnavailable(f"the identity endpoint gave no token: {error}") from None

    def _request(self) -> tuple[str, dict[str, str]]:
        """Build the request: App Service and similar name an endpoint of their own; machines have a fixed one."""
        endpoint = self._environ.get("IDENTITY_ENDPOINT")
        if endpoint:
            parameters = {"api-version": "2019-08-01", "resource": RESOURCE}
            headers = {"X-IDENTITY-HEADER": self._environ.get("IDENTITY_HEADER", "")}
        else:
            endpoint = MACHINE_ENDPOINT
            parameters = {"api-version": "2018-02-01", "resource": RESOURCE}
            headers = {"Metadata": "true"}
        if self._client_id:
            parameters["client_id"] = self._client_id
        return f"{endpoint}?{urllib.parse.urlencode(parameters)}", headers

    def _end_of(self, answer: _Answer) -> float:
        """Return when the token ends; if unknown, it is renewed at once."""
        try:
            return float(answer.expires_on)
        except ValueError:
            return self._clock.now_ms() / 1000


def encode_token(token: str) -> bytes:
    """Pack the token: its length, little-endian, then UTF-16LE."""
    raw = token.encode("utf-16-le")
    return struct.pack("<I", len(raw)) + raw


def fetch_directly(address: str, headers: Mapping[str, str], timeout_seconds: float) -> bytes:
    """Perform a GET without any proxy: the endpoints are on this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers=dict(headers))
    with opener.open(request, timeout=timeout_seconds) as response:
        body: bytes = response.read(1_000_000)
        return body


def _reason(error: urllib.error.HTTPError) -> str:
    """Return the endpoint's error message, shortened."""
    try:
        answer: Any = json.loads(error.read(10_000))
        return str(answer.get("error_description") or answer.get("error") or "")[:300]
    except (OSError, ValueError, AttributeError):
        return "is a managed identity assigned to this machine or app?"
