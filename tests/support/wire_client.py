"""A client of the wire protocol on the library's asyncio client: an implementation independent of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SECONDS = 30.0
"""How long anything may take before the test fails."""


class WireClient:
    """One open connection. Everything received is kept in ``received``, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        await self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    async def next(self) -> dict[str, Any]:
        """Return the next message other than a heartbeat."""
        while True:
            async with asyncio.timeout(SECONDS):
                message: dict[str, Any] = json.loads(await self.connection.recv())
            self.received.append(message)
            if message["type"] != "system.heartbeat":
                return message

    async def until(self, type: str) -> dict[str, Any]:
        """Read until a message of this type, or an error with this code, arrives."""
        while True:
            message = await self.next()
            if type in (message["type"], message.get("code")):
                return message

    async def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send one action; return its answer, skipping events."""
        await self.send({"action": action, **fields})
        while True:
            message = await self.next()
            if "id" not in message or message["type"] == "publish_ack":
                return message

    async def subscribe(self, *channels: str, **fields: Any) -> dict[str, Any]:
        answer = await self.ask("subscribe", channels=list(channels), **fields)
        assert answer["type"] == "subscribed", answer
        return answer

    async def events(self, count: int) -> list[dict[str, Any]]:
        """Return the next events."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            message = await self.next()
            if "id" in message:
                found.append(message)
        return found

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end; return code and reason of the server's close, or None."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (None, "")

    @property
    def codes(self) -> list[str]:
        """The types of the received messages, codes for errors."""
        return [message.get("code") or message["type"] for message in self.received]


async def open_client(url: str, key: str | None = None, **options: Any) -> WireClient:
    """Connect, with the key in a header; the greeting is not read yet."""
    headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})} if key else options.pop("headers", {})
    connection = await connect(url, additional_headers=headers, proxy=None, open_timeout=SECONDS, **options)
    return WireClient(connection)


@asynccontextmanager
async def dial(url: str, key: str | None = None, **options: Any) -> AsyncIterator[WireClient]:
    """Connect, read the greeting, and close at the end."""
    client = await open_client(url, key, **options)
    try:
        assert (await client.next())["type"] == "connected", client.received
        yield client
    finally:
        await client.connection.close()


async def try_to_connect(url: str, key: str | None = None, **options: Any) -> tuple[list[str], int | None]:
    """Connect and read: return ``["connected"]`` and None if admitted (then disconnect), else codes and close code."""
    client = await open_client(url, key, **options)
    try:
        if (await client.next())["type"] == "connected":
            return ["connected"], None
        code, _ = await client.closed()
        return client.codes, code
    finally:
        await client.connection.close()
