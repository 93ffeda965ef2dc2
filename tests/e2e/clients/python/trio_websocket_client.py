"""trio-websocket."""

import sys
import time

import trio
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from trio_websocket import ConnectionClosed, open_websocket_url


async def main() -> None:
    async with open_websocket_url(URL) as ws:
        tell(open=True)
        try:
            await ws.send_message(SUBSCRIBE)
            while True:
                match message(await ws.get_message()):
                    case "busy" if "await" in sys.argv:
                        await trio.sleep(BUSY_SECONDS)
                    case "busy":
                        time.sleep(BUSY_SECONDS)
                    case "flood":
                        await ws.send_message(FLOOD)
                    case "bye":
                        await ws.aclose()
        except ConnectionClosed as closed:
            tell(close=closed.reason and closed.reason.code, reason=closed.reason and closed.reason.reason)


trio.run(main)
