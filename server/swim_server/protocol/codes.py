"""Close codes, error codes, and the exception that carries one. Each says what the client should do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

import msgspec

from swim_server.protocol.json_data import JsonObject

_SHOWN_CHARACTERS = 80


class CloseCode(IntEnum):
    """Why a connection was closed, and what the client does next."""

    NORMAL = 1000
    """The client asked for it. It stops."""
    SERVICE_RESTART = 1012
    """The server stops or restarts. The client reconnects and resumes; ``reason`` may hold ``retry_ms=…``."""
    TRY_AGAIN_LATER = 1013
    """Keys can't be checked at the moment. The client reconnects later."""
    UNAUTHORIZED = 4001
    """The key is missing, unknown, inactive, expired, or was just revoked. The client stops: a person must act."""
    LIMIT = 4002
    """The tier or key has its maximum of connections, or messages came too fast. The client reconnects with backoff."""
    BAD_MESSAGES = 4003
    """Repeated unreadable messages. The client stops: it has a bug."""
    SLOW_CONSUMER = 4008
    """The client could not keep up. It reconnects and resumes."""


class ErrorCode(StrEnum):
    """The ``code`` of an ``error`` message."""

    AUTH_FAILED = "AUTH_FAILED"
    """The key is missing or refused. A close with 4001 follows: the client stops, a person must act."""
    AUTH_UNAVAILABLE = "AUTH_UNAVAILABLE"
    """Keys can't be checked at the moment. A close with 1013 follows: the client reconnects later."""
    CONNECTION_LIMIT = "CONNECTION_LIMIT"
    """The tier or key is full. A close with 4002 follows: the client reconnects with backoff."""
    RATE_LIMITED = "RATE_LIMITED"
    """Too many messages in a second: the rest of it is ignored. The client slows down, or is closed with 4002."""
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    """The message was not read. The client sends smaller ones."""
    INVALID_JSON = "INVALID_JSON"
    """Not JSON, not an object, or a binary frame. The client has a bug; repeated ones lead to a close with 4003."""
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    """Unknown action. The client uses one of those named."""
    INVALID_SUBSCRIBE = "INVALID_SUBSCRIBE"
    """The subscribe or unsubscribe was refused as a whole. The client corrects it."""
    INVALID_CHANNEL = "INVALID_CHANNEL"
    """Unknown channel; nothing of the message was applied. The client corrects it: the nearest is named."""
    INVALID_FILTER = "INVALID_FILTER"
    """A filter can't be read; nothing of the message was applied. The client corrects the kind that is named."""
    INVALID_PUBLISH = "INVALID_PUBLISH"
    """The event was not stored. The client corrects it before sending it again."""
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    """The event was not stored: the disk is full or has a problem. The client sends it again, unchanged."""
    INVALID_EXPLAIN = "INVALID_EXPLAIN"
    """The message contains neither an event id nor an event. The client corrects it."""
    FORBIDDEN = "FORBIDDEN"
    """The key has no permission for that. The client uses another key."""
    HISTORY_UNAVAILABLE = "HISTORY_UNAVAILABLE"
    """History doesn't reach back far enough, or lacks the event named. Live events follow: the client expects a gap."""
    RESTARTING = "RESTARTING"
    """A close with 1012 follows: the client reconnects after ``retry_ms`` milliseconds and resumes."""
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    """The event is longer than the client accepts. The client asks for it elsewhere, or accepts longer ones."""


class BadMessage(ValueError):
    """A client's message was refused. Its fields are those of the ``error`` message sent in reply."""

    def __init__(self, code: ErrorCode, message: str, data: Mapping[str, object] | None = None) -> None:
        self.code = code
        self.message = message
        self.data: JsonObject = dict(data or {})
        super().__init__(code, message)

    def __str__(self) -> str:
        return self.message


def show(value: object) -> str:
    """Format a peer's value for an error text: as JSON, shortened, printable. Never raises."""
    if isinstance(value, str):
        value = value[: _SHOWN_CHARACTERS + 1]
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = type(value).__name__
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
