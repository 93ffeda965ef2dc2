"""Errors for programs that use this package. Their texts never contain a key."""

from __future__ import annotations

from typing import Any, Dict, Optional


class SwimError(Exception):
    """The base class of this package's errors."""


class AuthenticationError(SwimError):
    """The key was refused permanently. The client does not reconnect, as that would not help."""

    def __init__(self, reason: str, code: Optional[int] = None) -> None:
        self.reason = reason
        """The server's own words."""
        self.code = code
        """The close code (4001), or the HTTP status of a refused upgrade (401)."""
        super().__init__(reason, code)

    def __str__(self) -> str:
        told = f" ({self.code})" if self.code else ""
        reason = self.reason.rstrip(".")
        return f"the key was refused{told}: {reason}. Check the key, or ask the operator for another one."


class ProtocolError(SwimError):
    """The server closed with 4003: it repeatedly could not parse this client's messages. A bug; the client stops."""

    def __init__(self, reason: str, code: int = 4003) -> None:
        self.reason = reason
        self.code = code
        super().__init__(reason, code)

    def __str__(self) -> str:
        return f"the server gave up on this client's messages ({self.code}): {self.reason or 'no reason given'}"


class ConnectionLost(SwimError):
    """There is no connection: it ended or could not be opened, and the pending request will not be repeated."""

    def __init__(self, reason: str, code: Optional[int] = None) -> None:
        self.reason = reason
        self.code = code
        """The close code, where there was one."""
        super().__init__(reason, code)

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason} ({self.code})"


class ClientStopped(ConnectionLost):
    """The client was stopped before the answer arrived."""

    def __init__(self) -> None:
        super().__init__("the client was stopped")


class NoAnswer(SwimError):
    """The server is connected but did not answer a request in time."""

    def __init__(self, action: str, seconds: float) -> None:
        self.action = action
        self.seconds = seconds
        super().__init__(action, seconds)

    def __str__(self) -> str:
        return f"no answer to {self.action} within {self.seconds:g} s"


class RequestRefused(SwimError):
    """The server answered one request with an error. The connection stays open."""

    def __init__(self, code: str, message: str, data: Optional[Dict[str, Any]] = None) -> None:
        self.code = code
        """The protocol's error code, such as ``INVALID_CHANNEL``."""
        self.message = message
        self.data = data or {}
        """Further fields of the error, as the server sent them."""
        super().__init__(code, message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ResumeFileError(SwimError):
    """The resume file can't be used. The client stops, as continuing without it would silently lose events."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(path, problem)

    def __str__(self) -> str:
        return f"resume file {self.path}: {self.problem}"
