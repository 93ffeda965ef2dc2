"""JSON-RPC 2.0 on the control socket: how ``swimctl`` talks to the running daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.streaming.connection import Connection

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
UNAVAILABLE = -32000
"""The daemon can't do it at the moment; retrying later is safe."""

Method = Callable[[Mapping[str, object]], Awaitable[object]]

_encoder = msgspec.json.Encoder()


class RpcError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, data: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(code, message)

    def __str__(self) -> str:
        return self.message


class _Envelope(msgspec.Struct):
    """What makes a message a request. Other members are ignored."""

    jsonrpc: Any = msgspec.UNSET


class Rpc:
    """The methods. Registered by the daemon; each takes the params as a mapping and returns JSON values."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self.methods: dict[str, Method] = {}
        self._on_failure = on_failure

    def is_request(self, payload: bytes) -> bool:
        """Tell a request from a message of the wire protocol. Unreadable input is one if it mentions JSON-RPC."""
        if b'"jsonrpc"' not in payload:
            return False
        try:
            return msgspec.json.decode(payload, type=_Envelope).jsonrpc is not msgspec.UNSET
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True

    async def answer(self, connection: Connection, payload: bytes) -> None:
        """Perform a request and answer it on the same connection; a notification, which has no id, is not answered."""
        request: dict[str, Any] = {"id": None}
        try:
            request = _read(payload)
            reply = _encoder.encode({"jsonrpc": "2.0", "id": request.get("id"), "result": await self._perform(request)})
        except RpcError as error:
            reply = _failed(request, error)
        except Exception as error:  # noqa: BLE001  # a bug in one method must not take the control socket down
            self._on_failure(error)
            reply = _failed(request, RpcError(INTERNAL_ERROR, f"internal error: {type(error).__name__}"))
        if "id" in request:
            connection.answer(reply)

    async def _perform(self, request: Mapping[str, object]) -> object:
        name, params = request.get("method"), request.get("params", {})
        if not isinstance(name, str):
            raise RpcError(INVALID_REQUEST, "a request is an object with a method")
        method = self.methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, f"no such method: {name[:80]}")
        if not isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "params must be an object")
        return await method(params)


def _failed(request: Mapping[str, object], error: RpcError) -> bytes:
    told = {"code": error.code, "message": error.message, "data": error.data}
    return _encoder.encode({"jsonrpc": "2.0", "id": request.get("id"), "error": told})


def _read(payload: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RpcError(PARSE_ERROR, "not JSON") from None
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "a request is an object with a method")
    return request
