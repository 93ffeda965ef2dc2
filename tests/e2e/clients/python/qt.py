"""Qt's QWebSocket, by PyQt: the word after the busy seconds says which (5 or 6)."""

import sys
import time

if sys.argv[4] == "6":
    from PyQt6.QtCore import QCoreApplication, QUrl
    from PyQt6.QtWebSockets import QWebSocket
else:
    from PyQt5.QtCore import QCoreApplication, QUrl
    from PyQt5.QtWebSockets import QWebSocket

from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell

app = QCoreApplication([])
socket = QWebSocket()


def on_connected() -> None:
    tell(open=True)
    socket.sendTextMessage(SUBSCRIBE)


def on_text(text: str) -> None:
    match message(text):
        case "busy":
            time.sleep(BUSY_SECONDS)
        case "flood":
            socket.sendTextMessage(FLOOD)
        case "bye":
            socket.close()


def on_disconnected() -> None:
    code = socket.closeCode()
    tell(close=getattr(code, "value", code), reason=socket.closeReason())
    app.quit()


socket.connected.connect(on_connected)
socket.textMessageReceived.connect(on_text)
socket.disconnected.connect(on_disconnected)
(socket.errorOccurred if hasattr(socket, "errorOccurred") else socket.error).connect(
    lambda error: tell(error=f"{getattr(error, 'name', error)}: {socket.errorString()}")
)
socket.open(QUrl(URL))
sys.exit(app.exec())
