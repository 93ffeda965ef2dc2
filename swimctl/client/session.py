"""One WebSocket connection to the service, through the control socket or its public address."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.exceptions import ConnectionClosed
    from websockets.sync.connection import Connection

    from swimctl.client.unix_connection import UnixClosed, UnixConnection

CONTROL_URI = "ws://swim/api/swim/v1/ws"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
OPEN_TIMEOUT_SECONDS = 5.0
CLOSE_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 10.0
MAX_PENDING = 100_000

_RETRY = re.compile(r"retry_ms=(\d{1,9})")
_decoder = msgspec.json.Decoder()


class SessionLost(CommandFailed):
    """The connection ended. A pending request may or may not have been carried out."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        """The close code; None if there was no close frame."""
        self.reason = reason
        told = reason or (f"closed with {code}" if code is not None else "it broke")
        super().__init__(f"the connection to the daemon was lost: {told}", "check it with: swimctl status")

    @property
    def retry_seconds(self) -> float | None:
        """The reconnect delay that the server asked for; None if it gave none."""
        match = _RETRY.search(self.reason)
        return int(match[1]) / 1000 if match else None


class RpcFailed(CommandFailed):
    """The daemon answered a request with an error."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        self.method = method
        self.code = code
        self.data = data
        super().__init__(message)


class Session:
    """An open connection, for a single thread. ``receive`` returns messages in order of arrival."""

    def __init__(
        self, connection: Connection | UnixConnection, stack: ExitStack, closed: type[ConnectionClosed | UnixClosed]
    ) -> None:
        self._connection = connection
        self._stack = stack
        self._closed = closed
        """The exception that the connection raises once it has ended."""
        self._pending: deque[bytes] = deque()
        """Messages that arrived while an answer was awaited."""
        self._next_request = 0
        self.is_greeted = False
        """The first message was received, so the key is valid. Set by its reader."""

    @classmethod
    def open_unix(cls, path: Path, open_timeout: float = OPEN_TIMEOUT_SECONDS) -> Session:
        """Connect to a control socket. Raises OSError, TimeoutError, websockets' exceptions."""
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import unix_connect

        stack = ExitStack()
        connection = stack.enter_context(
            unix_connect(
                str(path),
                CONTROL_URI,
                compression=None,
                proxy=None,
                open_timeout=open_timeout,
                close_timeout=CLOSE_TIMEOUT_SECONDS,
                ping_interval=None,
                max_size=MAX_MESSAGE_BYTES,
            )
        )
        return cls(connection, stack, ConnectionClosed)

    @classmethod
    def open_light(cls, path: Path, open_timeout: float = OPEN_TIMEOUT_SECONDS) -> Session:
        """Connect to a control socket with a light client: single-threaded, and pings are answered only while waiting.

        Raises OSError, TimeoutError.
        """
        from swimctl.client.unix_connection import UnixClosed, UnixConnection

        stack = ExitStack()
        connection = UnixConnection(
            path, CONTROL_URI, open_timeout=open_timeout, close_timeout=CLOSE_TIMEOUT_SECONDS,
            max_size=MAX_MESSAGE_BYTES,
        )  # fmt: skip
        stack.callback(connection.close)
        return cls(connection, stack, UnixClosed)

    @classmethod
    def open_url(cls, url: str, api_key: str | None) -> Session:
        """Connect as any client; the key goes into a header. Raises OSError, TimeoutError, websockets' exceptions."""
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        stack = ExitStack()
        connection = stack.enter_context(
            connect(
                url,
                additional_headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
                open_timeout=OPEN_TIMEOUT_SECONDS,
                close_timeout=CLOSE_TIMEOUT_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
            )
        )
        return cls(connection, stack, ConnectionClosed)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message of the wire protocol. Raises SessionLost."""
        try:
            self._connection.send(msgspec.json.encode(message).decode())
        except self._closed as closed:
            raise _lost(closed) from None

    def receive(self, timeout: float | None = None) -> bytes | None:
        """Return the next message, or None if none arrives in time. Raises SessionLost."""
        return self._pending.popleft() if self._pending else self._receive(timeout)

    def _receive(self, timeout: float | None) -> bytes | None:
        try:
            message = self._connection.recv(timeout=timeout)
        except TimeoutError:
            return None
        except self._closed as closed:
            raise _lost(closed) from None
        return message.encode() if isinstance(message, str) else bytes(message)

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a JSON-RPC request and return its id; the answer arrives among the messages."""
        self._next_request += 1
        self.send({"jsonrpc": "2.0", "id": self._next_request, "method": method, "params": params or {}})
        return self._next_request

    def call(
        self, method: str, params: Mapping[str, Any] | None = None, timeout: float = ANSWER_TIMEOUT_SECONDS
    ) -> Any:
        """Send a request and wait for its answer; other messages are kept for ``receive``.

        Raises RpcFailed for an error, CommandFailed if no answer arrives in time, SessionLost.
        """
        import time

        identifier = self.request(method, params)
        deadline = time.monotonic() + timeout
        while len(self._pending) < MAX_PENDING:
            payload = self._receive(max(0.0, deadline - time.monotonic()))
            if payload is None:
                break
            answer = decode(payload)
            if answer.get("jsonrpc") is None or answer.get("id") != identifier:
                self._pending.append(payload)
            elif "error" in answer:
                error = answer["error"]
                raise RpcFailed(method, error.get("code", 0), str(error.get("message")), error.get("data"))
            else:
                return answer.get("result")
        raise CommandFailed(f"the daemon did not answer {method} within {timeout:g} s", "see: swimctl logs")

    def close(self) -> None:
        """Close the connection, within a second. Idempotent."""
        self._stack.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(payload: bytes) -> dict[str, Any]:
    """Decode one message; anything but a JSON object becomes an empty dictionary."""
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _lost(closed: Any) -> SessionLost:
    frame = closed.rcvd
    return SessionLost(None, "") if frame is None else SessionLost(int(frame.code), frame.reason)
