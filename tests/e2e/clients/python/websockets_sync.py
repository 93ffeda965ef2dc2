"""websockets, its client with threads."""

import time

from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

with connect(URL) as websocket:
    tell(open=True)
    try:
        websocket.send(SUBSCRIBE)
        for text in websocket:
            match message(text):
                case "busy":
                    time.sleep(BUSY_SECONDS)
                case "flood":
                    websocket.send(FLOOD)
                case "bye":
                    websocket.close()
    except ConnectionClosed as error:
        tell(error=repr(error))
    tell(close=websocket.close_code, reason=websocket.close_reason)
