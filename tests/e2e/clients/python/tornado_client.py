"""tornado."""

import asyncio
import sys
import time

from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from tornado.websocket import websocket_connect


async def main() -> None:
    connection = await websocket_connect(URL, compression_options={})
    tell(open=True)
    await connection.write_message(SUBSCRIBE)
    while (text := await connection.read_message()) is not None:
        match message(text):
            case "busy" if "await" in sys.argv:
                await asyncio.sleep(BUSY_SECONDS)
            case "busy":
                time.sleep(BUSY_SECONDS)
            case "flood":
                await connection.write_message(FLOOD)
            case "bye":
                connection.close()
    tell(close=connection.close_code, reason=connection.close_reason)


asyncio.run(main())
