"""Errors of plain HTTP: a status, a code, and a text for the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from swim_server.protocol.codes import BadMessage, ErrorCode

FORBIDDEN_CODES = {ErrorCode.FORBIDDEN: 403, ErrorCode.STORAGE_UNAVAILABLE: 503, ErrorCode.EVENT_TOO_LARGE: 413}


class HttpError(Exception):
    """A request that is refused."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details = details
        super().__init__(code, message)

    def document(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"code": self.code, "message": self.message, **self.details}


def bad_request(message: str, code: str = "BAD_REQUEST", **details: Any) -> NoReturn:
    """Return the error for a request that can't be read."""
    raise HttpError(400, code, message, **details)


def of_message(refused: BadMessage) -> HttpError:
    """Return the HTTP error for what is refused over a WebSocket, with the same code."""
    status = FORBIDDEN_CODES.get(refused.code, 400)
    details = {name: value for name, value in refused.data.items() if name not in ("code", "message")}
    return HttpError(status, str(refused.code), refused.message, **details)


def unavailable(code: str, message: str, retry_seconds: int = 5) -> HttpError:
    """Return the error for something that is temporarily unavailable."""
    return HttpError(503, code, message, headers={"Retry-After": str(retry_seconds)})
