"""A WebSocket over HTTP/2 (RFC 8441), as browsers open it if a server offers it."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol, State

SECONDS = 5.0


class NotOffered(Exception):
    """The server does not announce SETTINGS_ENABLE_CONNECT_PROTOCOL, or speaks no HTTP/2."""


class Http2Tunnel:
    """One WebSocket on a stream of one connection."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._http = H2Connection(H2Configuration(client_side=True))
        self._frames = Protocol(CLIENT, state=State.OPEN)
        self.status = ""
        """Of the answer."""
        self._has_settings = False
        self._is_ended = False
        self._messages: list[dict[str, Any]] = []

    async def open(self, path: str, key: str) -> None:
        """Connect and request the WebSocket. Raises NotOffered."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=b"".join(self._tls.get_ca_certs(binary_form=True)))
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=context, server_hostname=self._host
        )
        chosen = self._writer.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen != "h2":
            raise NotOffered(f"{chosen} was negotiated")
        self._http.initiate_connection()
        await self._exchange_until(lambda: self._has_settings)
        if self._http.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL) != 1:
            raise NotOffered("SETTINGS_ENABLE_CONNECT_PROTOCOL is not 1")
        self._stream = self._http.get_next_available_stream_id()
        headers = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", path),
                   (":authority", f"{self._host}:{self._port}"), ("sec-websocket-version", "13"),
                   ("authorization", f"Bearer {key}")]  # fmt: skip
        self._http.send_headers(self._stream, headers)
        await self._exchange_until(lambda: bool(self.status))

    async def next(self) -> dict[str, Any]:
        """Return the next message other than a heartbeat."""
        while True:
            await self._exchange_until(lambda: bool(self._messages))
            message = self._messages.pop(0)
            if message["type"] != "system.heartbeat":
                return message

    async def ask(self, **message: Any) -> dict[str, Any]:
        frame = Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True)
        self._http.send_data(self._stream, frame)
        return await self.next()

    async def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.transport.abort()

    async def _exchange_until(self, is_done: Any) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_done():
                self._writer.write(self._http.data_to_send())
                data = await self._reader.read(65_536)
                if not data or self._is_ended:
                    raise EOFError("the stream has ended")
                for event in self._http.receive_data(data):
                    self._on(event)
            self._writer.write(self._http.data_to_send())

    def _on(self, event: object) -> None:
        if isinstance(event, RemoteSettingsChanged):
            self._has_settings = True
        elif isinstance(event, ResponseReceived):
            self.status = dict(event.headers or ())[b":status"].decode()
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            self._frames.receive_data(event.data or b"")
            for frame in self._frames.events_received():
                if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT:
                    self._messages.append(json.loads(bytes(frame.data)))
        elif isinstance(event, StreamEnded | StreamReset):
            self._is_ended = True
