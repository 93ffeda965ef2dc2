"""JSON-RPC 2.0 on the control socket: how ``swimctl`` asks and tells the running daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.streaming.connection import Connection

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
UNAVAILABLE = -32000
"""The daemon can't do it just now; asking again later is safe."""

Method = Callable[[Mapping[str, Any]], Awaitable[Any]]

_encoder = msgspec.json.Encoder()


class RpcError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(code, message)

    def __str__(self) -> str:
        return self.message


class Rpc:
    """The methods there are. The daemon fills it; each takes the params as a mapping and answers JSON values."""

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self.methods: dict[str, Method] = {}
        self._on_failure = on_failure

    def is_request(self, payload: bytes) -> bool:
        """Tell a request from a message of the wire protocol."""
        return b'"jsonrpc"' in payload[:256] or b'"jsonrpc"' in payload[-64:]

    async def answer(self, connection: Connection, payload: bytes) -> None:
        """Perform one request and answer it on the same connection."""
        identifier: Any = None
        try:
            request = _read(payload)
            identifier = request.get("id")
            method = self.methods.get(request["method"])
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, f"no such method: {request['method'][:80]}")
            params = request.get("params", {})
            if not isinstance(params, dict):
                raise RpcError(INVALID_PARAMS, "params must be an object")
            reply: dict[str, Any] = {"result": await method(params)}
        except RpcError as error:
            reply = {"error": {"code": error.code, "message": error.message, "data": error.data}}
        except Exception as error:  # noqa: BLE001  # a bug in one method must not take the control socket down
            self._on_failure(error)
            reply = {"error": {"code": INTERNAL_ERROR, "message": f"internal error: {type(error).__name__}"}}
        connection.answer(_encoder.encode({"jsonrpc": "2.0", "id": identifier, **reply}))


def _read(payload: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RpcError(INVALID_REQUEST, "not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "a request is an object with a method")
    return request
