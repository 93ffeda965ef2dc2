"""aiohttp."""

import asyncio
import sys
import time

import aiohttp
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell


async def main() -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(URL, compress=15) as ws:
        tell(open=True)
        await ws.send_str(SUBSCRIBE)
        async for msg in ws:
            if msg.type == aiohttp.WSMsgType.ERROR:
                tell(error=repr(ws.exception()))
                break
            match message(msg.data):
                case "busy" if "await" in sys.argv:
                    await asyncio.sleep(BUSY_SECONDS)
                case "busy":
                    time.sleep(BUSY_SECONDS)
                case "flood":
                    await ws.send_str(FLOOD)
                case "bye":
                    await ws.close()
        tell(close=ws.close_code, reason=None)


asyncio.run(main())
