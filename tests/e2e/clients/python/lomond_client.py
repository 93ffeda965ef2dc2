"""lomond."""

import time

from lomond import WebSocket
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell

websocket = WebSocket(URL, compress=True)
for event in websocket.connect():
    match event.name:
        case "ready":
            tell(open=True)
            websocket.send_text(SUBSCRIBE)
        case "text":
            match message(event.text):
                case "busy":
                    time.sleep(BUSY_SECONDS)
                case "flood":
                    websocket.send_text(FLOOD)
                case "bye":
                    websocket.close()
        case "closing" | "closed":
            tell(close=event.code, reason=event.reason)
        case "disconnected":
            tell(disconnected=str(event.reason), graceful=event.graceful)
        case "protocol_error" | "connect_fail" | "rejected":
            tell(error=str(event))
    if event.name in {"disconnected", "connect_fail"}:
        break
