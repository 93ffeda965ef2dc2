"""picows."""

import asyncio
import time

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from tell import BUSY_SECONDS, FLOOD, SUBSCRIBE, URL, message, tell


class Client(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        tell(open=True)
        transport.send(WSMsgType.TEXT, SUBSCRIBE.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            tell(close=frame.get_close_code(), reason=(frame.get_close_message() or b"").decode())
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            match message(frame.get_payload_as_utf8_text()):
                case "busy":
                    time.sleep(BUSY_SECONDS)
                case "flood":
                    transport.send(WSMsgType.TEXT, FLOOD.encode())
                case "bye":
                    transport.send_close(WSCloseCode.OK)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        tell(disconnected=True)


async def main() -> None:
    transport, _ = await ws_connect(Client, URL)
    await transport.wait_disconnected()


asyncio.run(main())
