"""The library ``websockets`` as its documentation uses it: ``async for websocket in connect(...)`` reconnects."""

from __future__ import annotations

import asyncio

from foreign import Subject, serve
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.version import version


async def listen(subject: Subject) -> None:
    """Listen, across reconnects."""
    async for websocket in connect(subject.url, additional_headers=subject.headers):
        subject.send = websocket.send
        try:
            if subject.subscription:
                await websocket.send(subject.subscription)
            async for message in websocket:
                subject.take(str(message))
            subject.ended(websocket.close_code, websocket.close_reason or "")
        except ConnectionClosed as closed:
            subject.ended(closed.rcvd.code if closed.rcvd else None, closed.rcvd.reason if closed.rcvd else "")


if __name__ == "__main__":
    asyncio.run(serve("websockets", version, listen))
