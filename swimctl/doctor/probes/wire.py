"""A client of the wire protocol for checks, which tells apart the steps at which a connection can fail."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from swimctl.client.session import decode

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

OPEN_SECONDS = 1.5
ANSWER_SECONDS = 1.5
MAX_PASSED_OVER = 10_000
"""Events of a busy stream that may precede an answer."""
_STATUS_LINE = re.compile(r"\bHTTP/\d\.\d (\d{3})\b")
USER_AGENT = "swimctl-doctor"


class Target(msgspec.Struct, frozen=True):
    """A parsed address. ``parse`` raises ValueError for an invalid one."""

    url: str
    host: str
    port: int
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> Target:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{url!r} is not a ws:// or wss:// address")
        is_tls = parts.scheme == "wss"
        return cls(url, parts.hostname, parts.port or (443 if is_tls else 80), is_tls)

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def with_key(self, api_key: str) -> Target:
        """Return the address with the key in its query, as browsers send it."""
        parts = urlsplit(self.url)
        query = f"{parts.query}&api_key={api_key}".lstrip("&")
        return msgspec.structs.replace(self, url=urlunsplit(parts._replace(query=query)))


class NotUpgraded(Exception):
    """No WebSocket was opened: the HTTP response, or the error before there was one."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason)

    def __str__(self) -> str:
        return self.reason


class Ended(Exception):
    """The connection ended: its close code, None if there was none."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)

    def __str__(self) -> str:
        if self.code is None:
            return "the connection was cut without an answer"
        return f"closed with {self.code}{f' ({self.reason})' if self.reason else ''}"


class Greeting(msgspec.Struct, frozen=True):
    """How the service answered a client: admitted, or refused with an error and a close code."""

    is_in: bool
    message: Mapping[str, Any]
    """The first message."""
    close_code: int | None = None

    @property
    def text(self) -> str:
        """The service's message, for people."""
        if self.is_in:
            return "admitted"
        data = self.message.get("data")
        found = self.message.get("message") or (data.get("message") if isinstance(data, dict) else None)
        said = str(found)[:200] if found else "refused without a reason"
        return f"{said} (close code {self.close_code})" if self.close_code is not None else said

    @property
    def error_code(self) -> str | None:
        """The code of the error."""
        data = self.message.get("data")
        found = self.message.get("code") or (data.get("code") if isinstance(data, dict) else None)
        return found if isinstance(found, str) else None

    @property
    def client_id(self) -> str | None:
        """The id that the service gave this connection."""
        data = self.message.get("data")
        found = data.get("client_id") if isinstance(data, dict) else None
        return found if isinstance(found, str) else None


def reason_of(error: OSError) -> str:
    """Return the system's reason for an error; asyncio puts the address in its place."""
    if error.errno is not None and error.errno > 0 and isinstance(error, ConnectionError):
        return os.strerror(error.errno)
    return str(error.strerror or error) or type(error).__name__


class ProbeClient:
    """One open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def local(self) -> tuple[str, int]:
        """Host and port of this end."""
        host, port = self._connection.local_address[:2]
        return str(host), int(port)

    async def receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next message; None: none in time; empty: it was not a JSON object. Raises Ended."""
        from websockets.exceptions import ConnectionClosed

        try:
            async with asyncio.timeout(seconds):
                payload = await self._connection.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            frame = closed.rcvd
            raise (Ended(None, "") if frame is None else Ended(int(frame.code), frame.reason)) from None
        return decode(payload.encode() if isinstance(payload, str) else payload)

    async def greet(self, seconds: float = ANSWER_SECONDS) -> Greeting | None:
        """Return how the service receives this client; None: no message in time. Raises Ended if it closes without one.

        An error message is followed by a close, which is waited for.
        """
        first = await self.receive(seconds)
        if first is None:
            return None
        if first.get("type") != "error":
            return Greeting(first.get("type") == "connected", first)
        try:
            for _ in range(10):
                if await self.receive(seconds) is None:
                    return Greeting(False, first)
        except Ended as ended:
            return Greeting(False, first, ended.code)
        return Greeting(False, first)

    async def send(self, **message: Any) -> None:
        """Send one action. Raises Ended."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._connection.send(msgspec.json.encode(message).decode())
        except ConnectionClosed as closed:
            frame = closed.rcvd
            raise (Ended(None, "") if frame is None else Ended(int(frame.code), frame.reason)) from None

    async def ask(self, answer: str, seconds: float = ANSWER_SECONDS, **message: Any) -> dict[str, Any] | None:
        """Send an action and wait for a message of this type, or an error; None: none in time. Raises Ended."""
        await self.send(**message)
        return await self.await_type((answer, "error"), seconds)

    async def await_type(self, types: tuple[str, ...], seconds: float) -> dict[str, Any] | None:
        """Return the next message of one of these types. Raises Ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        for _ in range(MAX_PASSED_OVER):
            message = await self.receive(max(0.0, deadline - loop.time()))
            if message is None or message.get("type") in types:
                return message
        return None


def _without_answer(error: Exception) -> NotUpgraded:
    """Describe what came instead of an HTTP/1.1 response: an older HTTP, something else, or nothing."""
    cause = error.__cause__
    found = _STATUS_LINE.search(str(cause))
    if found is not None:
        return NotUpgraded(f"HTTP {found[1]}", int(found[1]))
    if isinstance(cause, EOFError):
        told = "the connection was closed without an answer; a proxy that does not reach the service may do so"
        return NotUpgraded(f"no WebSocket: {told}")
    return NotUpgraded(f"no WebSocket: {cause or error}")


@asynccontextmanager
async def dial(
    target: Target,
    api_key: str | None,
    *,
    context: ssl.SSLContext | None = None,
    open_seconds: float = OPEN_SECONDS,
    headers: Mapping[str, str] | None = None,
    local_host: str | None = None,
) -> AsyncIterator[ProbeClient]:
    """Open a WebSocket, with the key in a header. Raises NotUpgraded, Ended.

    ``headers``: additional ones. ``local_host``: the local address to connect from.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidMessage, InvalidStatus, WebSocketException

    if target.is_tls and context is None:
        context = await asyncio.to_thread(ssl.create_default_context)
    try:
        connection = await connect(
            target.url,
            additional_headers={**({"Authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})},
            user_agent_header=USER_AGENT,
            open_timeout=open_seconds,
            close_timeout=0.5,
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=16 * 1024 * 1024,
            ssl=context if target.is_tls else None,
            local_addr=(local_host, 0) if local_host is not None else None,
        )
    except InvalidStatus as refused:
        server = refused.response.headers.get("Server")
        told = f"HTTP {refused.response.status_code}{f' from {server[:60]}' if server else ''}"
        raise NotUpgraded(told, refused.response.status_code) from None
    except InvalidMessage as error:
        raise _without_answer(error) from None
    except WebSocketException as error:
        raise NotUpgraded(f"no WebSocket: {error}") from None
    except TimeoutError:
        raise NotUpgraded(f"no answer within {open_seconds:g} s") from None
    except (OSError, ssl.SSLError, ValueError) as error:
        raise NotUpgraded(reason_of(error) if isinstance(error, OSError) else str(error)) from None
    try:
        yield ProbeClient(connection)
    finally:
        with suppress(Exception):
            await connection.close()
