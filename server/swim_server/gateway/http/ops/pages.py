"""The operator's page over HTTP. Requires a session for everything; refuses requests from other sites."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from swim_server.gateway.http.errors import HttpError, bad_request
from swim_server.gateway.http.ops.connection_table import OTHER_ROWS, PAGE_ROWS, ConnectionTable, WantedRows, cut
from swim_server.gateway.http.ops.sessions import SESSION_SECONDS, Session
from swim_server.gateway.http.query import one, read_number
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, RpcError
from swim_server.logs import get_logger

if TYPE_CHECKING:
    from swim_server.gateway.http.parts import HttpParts

COOKIE = "swim_ops"
HEADER = "X-SWIM-Ops"
"""Only a page of this service can send it: from another site a browser asks first, and is refused."""
MAX_BODY_BYTES = 4096
ACTOR = "the operator's page"
DATA = {"overview": "desk_overview", "keys": "desk_keys", "log": "desk_log", "nodes": "nodes"}
"""What the page shows, and the methods of the control socket that tell it."""
_encode = msgspec.json.Encoder().encode
_log = get_logger("operator")


class CloseAction(msgspec.Struct, forbid_unknown_fields=True):
    """Ask one client to reconnect."""

    connection: str


class KeyAction(msgspec.Struct, forbid_unknown_fields=True):
    """Revoke or expire a key."""

    key_id: int
    reason: str | None = None


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """An action without arguments."""


class OpsPages:
    """Performs each action through the methods of the control socket, and logs who requested it."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._sessions = parts.sessions
        self._table = ConnectionTable(parts.hub, clock=parts.clock)

    def add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        """Add the routes that the page uses; the page itself is served with the others."""
        router.add_get(f"{prefix}/ops/session", self.has_session)
        router.add_post(f"{prefix}/ops/session", self.open_session)
        router.add_post(f"{prefix}/ops/logout", self._action(NoArguments, self._end_session))
        for name, method in DATA.items():
            router.add_get(f"{prefix}/ops/data/{name}", self._data(method))
        router.add_get(f"{prefix}/ops/data/connections", self.connections)
        router.add_post(f"{prefix}/ops/actions/close", self._action(CloseAction, self._close))
        router.add_post(f"{prefix}/ops/actions/expire", self._action(KeyAction, self._expire))
        router.add_post(f"{prefix}/ops/actions/revoke", self._action(KeyAction, self._revoke))
        router.add_post(f"{prefix}/ops/actions/reload", self._action(NoArguments, self._reload))
        router.add_post(f"{prefix}/ops/actions/doctor", self._action(NoArguments, self._doctor))

    # Sessions.

    async def open_session(self, request: web.Request) -> web.Response:
        """Exchange a token for a session: typed into the page, or posted by the file of ``swimctl dashboard``."""
        address = self._parts.access.address(request)
        self._parts.access.check_throttle(address)
        is_form = request.content_type == "application/x-www-form-urlencoded"
        if not is_form:
            check_same_origin(request)
        token = await self._read_token(request, is_form=is_form)
        cookie = self._sessions.open(token)
        if cookie is None:
            await asyncio.sleep(self._parts.access.refused_operator(address, token))
            if is_form:
                return web.Response(status=303, headers={"Location": "../ops#refused"})
            text = "this is not the operator's token, or one that was used or is older than a minute"
            raise HttpError(401, "AUTH_FAILED", text)
        self._parts.access.succeeded(address)
        _log.info("the operator's page was opened", remote=address)
        headers = {"Set-Cookie": _cookie(request, cookie)}
        if is_form:
            return web.Response(status=303, headers={**headers, "Location": "../ops"})
        return web.Response(status=204, headers=headers)

    async def has_session(self, request: web.Request) -> web.Response:
        """Tell a page that was just opened whether it must ask for a token."""
        return _json({"is_open": self._sessions.check(request.cookies.get(COOKIE)) is not None})

    async def _read_token(self, request: web.Request, *, is_form: bool) -> str:
        if request.content_length is None or request.content_length > MAX_BODY_BYTES:
            bad_request("the body must be a token, and short")
        if is_form:
            return str((await request.post()).get("token", ""))
        body = await _read_json(request)
        return str(body.get("token", "")).strip()

    def _session(self, request: web.Request) -> Session:
        session = self._sessions.check(request.cookies.get(COOKIE))
        if session is None:
            raise HttpError(401, "AUTH_FAILED", "no session: type the operator's token, or run swimctl dashboard")
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise HttpError(403, "FORBIDDEN", "only the operator's page may ask this")
        return session

    async def _end_session(self, request: web.Request, _: NoArguments) -> object:
        self._sessions.end(self._session(request))
        return {}

    # What the page shows.

    def _data(self, method: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            session = self._session(request)
            found = await self._call(method, dict(request.query))
            response = _json(found)
            renewed = self._sessions.renewed(session)
            if renewed is not None:
                response.headers["Set-Cookie"] = _cookie(request, renewed)
            return response

        return answer

    async def connections(self, request: web.Request) -> web.Response:
        """Answer with a page of the connections."""
        self._session(request)
        query = request.query
        number = read_number(query, "page", 1, 1_000_000) or 1
        wanted = WantedRows(
            sort=one(query, "sort") or "lag",
            is_ascending=one(query, "order") == "up",
            count=number * PAGE_ROWS,
            search=(one(query, "search") or "")[:100],
            tier=one(query, "tier") or "",
        )
        found = [await self._table.first(wanted)]
        if OTHER_ROWS in self._parts.rpc.methods:
            others = await self._parts.rpc.methods[OTHER_ROWS](msgspec.to_builtins(wanted))
            assert isinstance(others, list), "the method answers pages"
            found += others
        return _json(cut(found, wanted, number))

    async def _call(self, method: str, params: Mapping[str, object]) -> object:
        try:
            return await self._parts.rpc.methods[method](params)
        except RpcError as error:
            status = {UNAVAILABLE: 503, INVALID_PARAMS: 400}.get(error.code, 409)
            raise HttpError(status, "REFUSED", error.message) from None

    # What the page does.

    def _action(
        self, arguments: type[Any], perform: Callable[[web.Request, Any], Awaitable[object]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            check_same_origin(request)
            self._session(request)
            try:
                wanted = msgspec.convert(await _read_json(request), arguments)
            except msgspec.ValidationError as error:
                bad_request(str(error))
            return _json(await perform(request, wanted))

        return answer

    async def _close(self, request: web.Request, wanted: CloseAction) -> object:
        self._note(request, "closes a connection", connection=wanted.connection)
        return await self._call("connection_close", {"id": wanted.connection})

    async def _expire(self, request: web.Request, wanted: KeyAction) -> object:
        return await self._end_key(request, wanted, is_for_good=False)

    async def _revoke(self, request: web.Request, wanted: KeyAction) -> object:
        return await self._end_key(request, wanted, is_for_good=True)

    async def _end_key(self, request: web.Request, wanted: KeyAction, *, is_for_good: bool) -> object:
        self._note(request, "revokes a key" if is_for_good else "expires a key", key_id=wanted.key_id)
        ending = {
            "key_id": wanted.key_id, "is_for_good": is_for_good, "at": datetime.now(UTC), "reason": wanted.reason,
            "actor": {"name": ACTOR, "origin": self._parts.access.address(request)},
        }  # fmt: skip
        return await self._call("key_end", ending)

    async def _reload(self, request: web.Request, _: NoArguments) -> object:
        self._note(request, "reloads the configuration")
        return await self._call("reload", {})

    async def _doctor(self, request: web.Request, _: NoArguments) -> object:
        self._note(request, "runs doctor")
        return await self._call("desk_doctor", {})

    def _note(self, request: web.Request, what: str, **details: object) -> None:
        """Log who requests what, before it is done."""
        session, address = self._session(request), self._parts.access.address(request)
        _log.info(f"the operator's page {what}", remote=address, session=session.id, **details)


def check_same_origin(request: web.Request) -> None:
    """Refuse requests sent by a page of another site, whatever cookies they have. Raises HttpError."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "").partition("://")[2]
    is_same = site == "same-origin" if site is not None else origin == request.headers.get("Host", "")
    if not is_same or HEADER not in request.headers or request.content_type != "application/json":
        raise HttpError(403, "FORBIDDEN", "only the operator's page may ask this")


async def _read_json(request: web.Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        bad_request("the body must be a JSON object")


def _cookie(request: web.Request, value: str) -> str:
    """Return the cookie header; without a path it applies to the folder of the requested address."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    is_secure = request.headers.get("Origin", "").startswith("https://") or forwarded == "https" or request.secure
    return f"{COOKIE}={value}; HttpOnly; SameSite=Strict; Max-Age={SESSION_SECONDS}{'; Secure' if is_secure else ''}"


def _json(document: object) -> web.Response:
    return web.Response(body=_encode(document) + b"\n", content_type="application/json")
