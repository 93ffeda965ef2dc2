"""websocket-client, as its WebSocketApp."""

import time

from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from websocket import WebSocketApp


def on_open(app: WebSocketApp) -> None:
    tell(open=True)
    app.send(SUBSCRIBE)


def on_message(app: WebSocketApp, text: str) -> None:
    match message(text):
        case "busy":
            time.sleep(BUSY_SECONDS)
        case "flood":
            app.send(FLOOD)
        case "bye":
            app.close()


def on_close(app: WebSocketApp, code: int | None, reason: str | None) -> None:
    tell(close=code, reason=reason)


def on_error(app: WebSocketApp, error: Exception) -> None:
    tell(error=repr(error))


WebSocketApp(URL, on_open=on_open, on_message=on_message, on_close=on_close, on_error=on_error).run_forever()
