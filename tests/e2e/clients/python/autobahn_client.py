"""autobahn, on Twisted."""

import sys
import time

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell
from twisted.internet import reactor


class Client(WebSocketClientProtocol):
    def onOpen(self) -> None:  # noqa: N802
        tell(open=True)
        self.sendMessage(SUBSCRIBE.encode())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        match message(payload.decode()):
            case "busy":
                time.sleep(BUSY_SECONDS)
            case "flood":
                self.sendMessage(FLOOD.encode())
            case "bye":
                self.sendClose(1000)

    def onClose(self, wasClean: bool, code: int | None, reason: str) -> None:  # noqa: N802, N803
        tell(close=code, reason=reason, clean=wasClean)
        reactor.callLater(0, reactor.stop)


factory = WebSocketClientFactory(URL)
factory.protocol = Client
factory.setProtocolOptions(
    perMessageCompressionOffers=[PerMessageDeflateOffer()],
    perMessageCompressionAccept=lambda response: (
        PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None
    ),
)
connectWS(factory)
sys.exit(reactor.run())
