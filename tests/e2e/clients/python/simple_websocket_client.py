"""simple-websocket."""

import time

from simple_websocket import Client, ConnectionClosed
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell

ws = Client.connect(URL)
tell(open=True)
try:
    ws.send(SUBSCRIBE)
    while True:
        match message(ws.receive()):
            case "busy":
                time.sleep(BUSY_SECONDS)
            case "flood":
                ws.send(FLOOD)
            case "bye":
                ws.close()
except ConnectionClosed as closed:
    tell(close=int(closed.reason), reason=closed.message)
