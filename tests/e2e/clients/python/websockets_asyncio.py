"""websockets, its asyncio client."""

import asyncio
import sys
import time

from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main() -> None:
    async with connect(URL) as websocket:
        tell(open=True)
        try:
            await websocket.send(SUBSCRIBE)
            async for text in websocket:
                match message(text):
                    case "busy" if "await" in sys.argv:
                        await asyncio.sleep(BUSY_SECONDS)
                    case "busy":
                        time.sleep(BUSY_SECONDS)
                    case "flood":
                        await websocket.send(FLOOD)
                    case "bye":
                        await websocket.close()
        except ConnectionClosed as error:
            tell(error=repr(error))
        tell(close=websocket.close_code, reason=websocket.close_reason)


asyncio.run(main())
