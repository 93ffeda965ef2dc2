"""httpx-ws, which stands on wsproto."""

import time

from httpx_ws import WebSocketDisconnect, WebSocketNetworkError, connect_ws
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell

with connect_ws(URL) as ws:
    tell(open=True)
    ws.send_text(SUBSCRIBE)
    while True:
        try:
            text = ws.receive_text()
        except WebSocketDisconnect as disconnect:
            tell(close=disconnect.code, reason=disconnect.reason)
            break
        except WebSocketNetworkError as error:
            tell(error=repr(error))
            break
        match message(text):
            case "busy":
                time.sleep(BUSY_SECONDS)
            case "flood":
                ws.send_text(FLOOD)
            case "bye":
                ws.close()
                tell(close=None, reason=None)
                break
