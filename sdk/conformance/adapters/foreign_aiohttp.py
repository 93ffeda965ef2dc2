"""The library ``aiohttp`` as its documentation uses it: one connection and its messages, without reconnecting."""

from __future__ import annotations

import asyncio

import aiohttp
from foreign import Subject, serve


async def listen(subject: Subject) -> None:
    """Listen until the connection ends."""
    async with aiohttp.ClientSession() as session, session.ws_connect(subject.url, headers=subject.headers) as ws:
        subject.send = ws.send_str
        if subject.subscription:
            await ws.send_str(subject.subscription)
        async for message in ws:
            if message.type == aiohttp.WSMsgType.TEXT:
                subject.take(message.data)
        subject.ended(ws.close_code)


if __name__ == "__main__":
    asyncio.run(serve("aiohttp", aiohttp.__version__, listen))
