"""Access control of plain HTTP: the key of a request, the limits of its tier, the origin of a browser."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swim_server.gateway.authentication import TurnedAway
from swim_server.gateway.http.errors import HttpError, unavailable
from swim_server.gateway.request import Credential, presented_key
from swim_server.keys.records import Refused
from swim_server.protocol.codes import CloseCode

if TYPE_CHECKING:
    from aiohttp import web

    from swim_server.concurrency.clock import Clock
    from swim_server.gateway.authentication import Authentication
    from swim_server.gateway.refusals import Refusals
    from swim_server.keys.records import KeyRecord
    from swim_server.streaming.admission import Admission

MINUTE_SECONDS = 60


class RequestRates:
    """Counts the requests of each key in the current minute."""

    def __init__(self, *, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self._minute = -1
        self._counts: Counter[int] = Counter()

    def seconds_until_allowed(self, key_id: int, limit: int) -> int:
        """Count a request; return 0 if it is within the limit, else the seconds until the next one is allowed."""
        now = self._monotonic()
        minute = int(now // MINUTE_SECONDS)
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        self._counts[key_id] += 1
        if self._counts[key_id] <= limit:
            return 0
        return max(1, math.ceil((minute + 1) * MINUTE_SECONDS - now))


class _Headers:
    """The headers of a request, in the form in which keys are read."""

    def __init__(self, request: web.Request) -> None:
        self._headers = request.headers

    def get_all(self, name: str) -> list[str]:
        """Return all values of a header; names are case-insensitive."""
        return list(self._headers.getall(name, []))


class Access:
    """Decides about requests by the same keys, limits and error texts as handshakes."""

    def __init__(
        self,
        authentication: Authentication,
        refusals: Refusals,
        admission: Admission,
        *,
        allowed_origins: Sequence[str],
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._refusals = refusals
        self._admission = admission
        self._allowed_origins = frozenset(allowed_origins)
        self._rates = RequestRates(clock=clock)

    def credential(self, request: web.Request) -> Credential:
        """Return the key in a request."""
        return presented_key(request.raw_path, _Headers(request))

    def address(self, request: web.Request) -> str:
        """Return the address of a client: behind a trusted proxy, the one that the proxy reports."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        return self._refusals.address_of(peer, _Headers(request).get_all("X-Forwarded-For")) or "unknown"

    # The operator's page.

    def check_throttle(self, address: str) -> None:
        """Refuse an address that sent too many bad keys or tokens. Raises HttpError."""
        self._check_throttle(address)

    def refused_operator(self, address: str, token: str) -> float:
        """Count an invalid token; return for how many seconds its answer must be delayed."""
        return self._refusals.failed(address, token, Refused("not the operator's token", "operator"))

    def succeeded(self, address: str) -> None:
        """Note a valid token from this address."""
        self._refusals.succeeded(address)

    async def identify(self, request: web.Request) -> KeyRecord:
        """Find out whose key is in a request, and count the request. Raises HttpError."""
        credential, address = self.credential(request), self.address(request)
        decision = self._authentication.cached(credential.api_key, address)
        if not self._authentication.is_remembered(credential.api_key, address):
            self._check_throttle(address)
        decision = await self._authentication.decide(credential.api_key, address, decision)
        found = self._authentication.identify(decision, address, credential.place)
        if isinstance(found, TurnedAway):
            raise self._refusal(found, credential)
        wait_seconds = self._rates.seconds_until_allowed(
            found.id, self._admission.limits[found.tier].requests_per_minute
        )
        if wait_seconds:
            limit = self._admission.limits[found.tier].requests_per_minute
            text = f"this key may make {limit} requests a minute; try again in {wait_seconds} s"
            headers = {"Retry-After": str(wait_seconds)}
            raise HttpError(429, "RATE_LIMITED", text, headers=headers, limit=limit, tier=str(found.tier))
        return found

    def _check_throttle(self, address: str) -> None:
        retry_after = self._refusals.retry_after(address)
        if retry_after is not None:
            self._refusals.note("over-eager", address)
            text = "too many refused keys from this address"
            raise HttpError(429, "RATE_LIMITED", text, headers={"Retry-After": str(retry_after)})

    @staticmethod
    def _refusal(found: TurnedAway, credential: Credential) -> HttpError:
        if found.close_code is CloseCode.TRY_AGAIN_LATER:
            return unavailable(str(found.error_code), found.message)
        text = found.message if credential.api_key else "no API key: send it in the header Authorization: Bearer ..."
        headers = {"WWW-Authenticate": 'Bearer realm="swim"'}
        return HttpError(401, str(found.error_code), text, headers=headers, **(found.details or {}))

    # Browsers.

    def cross_origin_headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers that let a browser's page read the answer; raises HttpError for a forbidden origin."""
        origin = request.headers.get("Origin")
        if origin is None or is_operators(request.path):  # only the operator's page itself may read anything
            return {}
        if self._allowed_origins and is_own_origin(request):
            return {}
        if self._allowed_origins and origin not in self._allowed_origins:
            raise HttpError(403, "FORBIDDEN", "pages from this origin may not use the service")
        return {
            "Access-Control-Allow-Origin": origin if self._allowed_origins else "*",
            "Access-Control-Expose-Headers": "X-SWIM-As-Of, X-SWIM-Epoch, ETag, Retry-After",
            "Vary": "Origin",
        }


def is_own_origin(request: web.Request) -> bool:
    """Tell whether the requesting page came from the requested host, as far as the browser says."""
    if request.headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    _, separator, authority = request.headers.get("Origin", "").partition("://")
    return bool(separator) and authority.lower() == request.headers.get("Host", "").lower()


def is_operators(path: str) -> bool:
    """Tell whether a path belongs to the operator's page, under any prefix."""
    return "ops" in path.split("/")
