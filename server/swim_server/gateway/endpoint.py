"""One client's TCP connection: the library's WebSocket protocol inside an asyncio.Protocol of ours."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidMessage
from websockets.frames import CloseCode as LibraryCloseCode
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from swim_server.gateway.compression import negotiated_window_bits
from swim_server.gateway.inbound_policy import InboundLimit
from swim_server.gateway.request import is_known_path, presented_key
from swim_server.gateway.upgrade import Upgrade, read_upgrade
from swim_server.keys.records import Decision, Granted, KeyRecord, Refused, Unavailable
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.streaming.connection import LOCAL_TIER, Connection

if TYPE_CHECKING:
    from swim_server.gateway.registry import Gateway, ListenerKind

EXTENSIONS = "Sec-WebSocket-Extensions"
END_OF_HEAD = b"\r\n\r\n"
LONGEST_REASON_BYTES = 123
"""A close frame holds 125 bytes, two of them the code (RFC 6455, section 5.5)."""
PEER_TIMEOUT_HEARTBEATS = 2.5
"""A client of which nothing is heard for so many heartbeats, each with a ping, is gone."""
MAX_EARLY_BYTES = 64 * 1024
"""When a client has sent so much before it is admitted, the rest waits on its side."""

_library_log = logging.getLogger("websockets.server")


class Phase(Enum):
    """Where a connection stands."""

    HANDSHAKE = "handshake"
    AUTHENTICATING = "authenticating"
    OPEN = "open"
    CLOSING = "closing"
    LOST = "lost"


class Endpoint(asyncio.Protocol):
    """Reads requests and messages, writes answers; hands events' frames through untouched.

    The upgrade is accepted first and then authenticated, as browsers see nothing of a refused one. Nothing that the
    client sends is looked at before it is admitted.
    """

    __slots__ = (
        "_admitted",
        "_auth_task",
        "_buffered_size",
        "_early",
        "_fragments",
        "_gateway",
        "_head",
        "_is_text",
        "_phase",
        "_protocol",
        "_publications",
        "_tail",
        "_transport",
        "address",
        "connection",
        "inbound",
        "kind",
        "last_seen",
        "wheel_tick",
        "write",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, kind: ListenerKind) -> None:
        self.kind = kind
        self.connection: Connection | None = None
        self.address = "local"
        """The client's address as it is logged and judged: behind a trusted proxy, the one that the proxy names."""
        self.inbound = InboundLimit()
        self._publications: InboundLimit | None = None
        self.last_seen = 0.0
        """``monotonic`` when bytes last came from the client."""
        self.wheel_tick: int | None = None
        self._gateway = gateway
        self._phase = Phase.HANDSHAKE
        self._protocol: ServerProtocol | None = None
        self._tail = b""
        self._head = b""
        """The answer to the upgrade, until it is written: with what follows it, where that follows at once."""
        self._early = bytearray()
        self._fragments = bytearray()
        self._is_text = False
        """Of the message whose fragments are being read."""
        self._admitted: tuple[str, int] | None = None
        self._auth_task: asyncio.Task[None] | None = None

    @property
    def _ws(self) -> ServerProtocol:
        """The library's protocol, made when it is needed first: by then it is known where it begins."""
        return self._protocol or self._begin_protocol(State.CONNECTING)

    def _begin_protocol(self, state: State) -> ServerProtocol:
        self._protocol = ServerProtocol(
            origins=self._gateway.origins,
            extensions=self.kind.extensions,
            state=state,
            max_size=self.kind.hard_limit_bytes,
            logger=_library_log,
        )
        return self._protocol

    # The transport's side.

    def publications(self) -> InboundLimit:
        """How much the client publishes: counted apart from its other messages."""
        if self._publications is None:
            self._publications = InboundLimit()
        return self._publications

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write: Callable[[bytes], None] = self._transport.write
        self._buffered_size = self._transport.get_write_buffer_size
        self._transport.set_write_buffer_limits(high=self._gateway.high_water_bytes)
        self.last_seen = self._gateway.monotonic()
        self._gateway.endpoints.add(self)
        self._gateway.wheel.schedule(self, self._gateway.handshake_timeout_seconds)

    def data_received(self, data: bytes) -> None:
        self.last_seen = self._gateway.monotonic()
        if self._phase is Phase.HANDSHAKE:
            self._early += data
            if len(self._early) == len(data):
                self._gateway.handshake_queue.submit(self._enter)
        elif self._phase is Phase.AUTHENTICATING:
            self._receive_early(data)
        else:
            self._receive(data)

    def eof_received(self) -> bool:
        """A client that sends no more is gone; the transport closes when what was written before has reached it."""
        self._ws.receive_eof()
        self._flush()
        self._release()
        if self._phase is not Phase.CLOSING:
            self._begin_closing()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._begin_closing()
        self._phase = Phase.LOST
        self._gateway.wheel.cancel(self)
        self._gateway.forget(self)
        self._release()
        if self.connection is not None:
            self._gateway.log_disconnect(self.connection, self._ws.close_sent, self._ws.close_rcvd)
        # The library's parser and its protocol hold each other, and so do the two sides of a client: let them go now,
        # as the garbage collector looks through old objects once a day only.
        if self._protocol is not None:
            self._protocol.parser.close()
        self.connection = None

    def pause_writing(self) -> None:
        """The client reads too slowly. Until it catches up, it isn't listened to either: each ping would add a pong."""
        if self.connection is not None and self._phase is Phase.OPEN:
            self.connection.pause()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self.connection is not None and self._phase is Phase.OPEN:
            self.connection.resume()

    # What is due: the handshake's end, a heartbeat, or the end of our patience.

    def on_due(self) -> None:
        gateway = self._gateway
        if self._phase is Phase.AUTHENTICATING:
            self._decided(Unavailable("no answer in time"), "", None)
        elif self._phase is not Phase.OPEN:
            self.abort()
        elif gateway.monotonic() - self.last_seen > PEER_TIMEOUT_HEARTBEATS * gateway.heartbeat_seconds:
            self.close(CloseCode.SLOW_CONSUMER, "no answer to pings")
        else:
            assert self.connection is not None, "an open endpoint has its connection"
            gateway.wheel.schedule(self, gateway.heartbeat_seconds)
            self.connection.send_frame(gateway.heartbeat())

    # Handshake and admission.

    def _enter(self) -> None:
        if self._phase is Phase.HANDSHAKE:
            data, self._early = bytes(self._early), bytearray()
            self._receive_head(data)

    def _receive_head(self, data: bytes) -> None:
        """Read the request's head and nothing behind it: that belongs to a connection not yet admitted."""
        window = self._tail + data
        found = window.find(END_OF_HEAD)
        if found >= 0:
            cut = found + len(END_OF_HEAD) - len(self._tail)
            data, self._early = data[:cut], bytearray(data[cut:])
            upgrade = read_upgrade(data) if self._protocol is None and self._gateway.origins is None else None
            if upgrade is not None and self._on_upgrade(upgrade):
                return
        self._tail = window[-3:]
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._on_request(event)
                return
        if isinstance(self._ws.handshake_exc, InvalidMessage):  # the library says nothing to that
            response = self._ws.reject(HTTPStatus.BAD_REQUEST, "This is no HTTP request for a WebSocket.\n")
            self.write(response.serialize())
        self._flush()
        if self._ws.handshake_exc is not None:
            self._begin_closing()

    def _on_upgrade(self, upgrade: Upgrade) -> bool:
        """Answer an everyday request; False when what it negotiates is for the library to refuse."""
        offered = Headers([(EXTENSIONS, value) for value in upgrade.headers.get_all(EXTENSIONS)])
        ws = self._begin_protocol(State.OPEN)
        try:
            negotiated, ws.extensions = ws.process_extensions(offered) if offered else (None, [])
        except InvalidHandshake:
            self._protocol = None
            return False
        refusal = self._refuse_request(upgrade)
        if refusal is None:
            self._admit(upgrade, upgrade.accept(self._gateway.http_date(), negotiated))
        else:
            self._begin_protocol(State.CONNECTING)
            self._reject(*refusal)
        return True

    def _on_request(self, request: Request) -> None:
        refusal = self._refuse_request(request)
        if refusal is not None:
            self._reject(*refusal)
            return
        self._ws.send_response(self._ws.accept(request))
        if self._ws.state is State.OPEN:
            self._admit(request, b"".join(self._ws.data_to_send()))
        else:
            self._flush()
            self._begin_closing()

    def _reject(self, status: HTTPStatus, text: str, extra: Headers) -> None:
        response = self._ws.reject(status, text)
        response.headers.update(extra)
        self._ws.send_response(response)
        self._flush()
        self._begin_closing()

    def _admit(self, request: Request | Upgrade, head: bytes) -> None:
        """The upgrade is accepted: find out whose it is. The answer to the upgrade goes out with what follows it."""
        self._head = head
        self.write = self._write_behind_head
        self._phase = Phase.AUTHENTICATING
        user_agent = (request.headers.get_all("User-Agent") or [""])[0][:200] or None
        if self.kind.is_local:
            self._open(LOCAL_TIER, None, user_agent)
        else:
            self._authenticate(presented_key(request.path, request.headers), user_agent)
        if self._head:
            self._write_behind_head(b"")

    def _write_behind_head(self, data: bytes) -> None:
        head, self._head = self._head, b""
        self.write = self._transport.write
        self._transport.write(head + data)

    def _refuse_request(self, request: Request | Upgrade) -> tuple[HTTPStatus, str, Headers] | None:
        gateway = self._gateway
        if not is_known_path(request.path):
            return HTTPStatus.NOT_FOUND, "There is nothing at this path; connect to /api/swim/v1/ws\n", Headers()
        if gateway.is_draining:
            return HTTPStatus.SERVICE_UNAVAILABLE, "The service is restarting.\n", Headers({"Retry-After": "1"})
        if self.kind.is_local:
            return None
        self.address = gateway.refusals.address_of(
            self._transport.get_extra_info("peername"), request.headers.get_all("X-Forwarded-For")
        )
        retry_after = gateway.refusals.retry_after(self.address)
        if retry_after is not None:
            return (
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too many refused keys from this address.\n",
                Headers({"Retry-After": str(retry_after)}),
            )
        return None

    def _authenticate(self, api_key: str, user_agent: str | None) -> None:
        decision = self._gateway.authenticator.cached(api_key, self.address)
        if isinstance(decision, Granted):
            self._decided(decision, api_key, user_agent)
            return
        self._gateway.wheel.schedule(self, self._gateway.handshake_timeout_seconds * 3)
        self._auth_task = self._gateway.tasks.start(self._authenticate_later(api_key, decision, user_agent))

    async def _authenticate_later(self, api_key: str, decision: Decision | None, user_agent: str | None) -> None:
        """Ask the database, or hold a refusal back. A granted key is admitted without an await in between."""
        if decision is None:
            decision = await self._gateway.authenticator.authenticate(api_key, self.address)
        if isinstance(decision, Refused) and not self._gateway.authenticator.probes.is_announced(api_key):
            await asyncio.sleep(self._gateway.refusals.failed(self.address, api_key, decision))
        self._auth_task = None
        if self._phase is Phase.AUTHENTICATING:
            self._decided(decision, api_key, user_agent)

    def _decided(self, decision: Decision, api_key: str, user_agent: str | None) -> None:
        gateway = self._gateway
        if isinstance(decision, Granted) and gateway.held is not None:
            gateway.held.append(lambda: self._authenticate_again(api_key, user_agent))
            return
        self._transport.resume_reading()
        if isinstance(decision, Granted):
            key = decision.key
            gateway.refusals.succeeded(self.address)
            reached = gateway.admission.admit(key.tier, key.id)
            if reached is not None and gateway.evict_probe_client(key, reached):
                reached = gateway.admission.admit(key.tier, key.id)
            if reached is None:
                self._admitted = (key.tier, key.id)
                self._open(key.tier, key, user_agent)
            else:
                gateway.note_limit(self.address, reached, key.id)
                details = {"tier": reached.tier, "current": reached.current, "limit": reached.limit}
                self._refuse(CloseCode.LIMIT, ErrorCode.CONNECTION_LIMIT, reached.message, details)
        elif isinstance(decision, Refused):
            self._refuse(CloseCode.UNAUTHORIZED, ErrorCode.AUTH_FAILED, decision.message)
        else:
            gateway.refusals.note("unavailable", self.address)
            text = "Keys can't be checked just now; try again later."
            self._refuse(CloseCode.TRY_AGAIN_LATER, ErrorCode.AUTH_UNAVAILABLE, text)

    def _authenticate_again(self, api_key: str, user_agent: str | None) -> None:
        """After it was held: what was decided of the key then may no longer be so."""
        if self._phase is Phase.AUTHENTICATING:
            self._authenticate(api_key, user_agent)

    def _open(self, tier: str, key: KeyRecord | None, user_agent: str | None) -> None:
        gateway = self._gateway
        self.connection = Connection(
            f"client_{os.urandom(8).hex()}",
            self,
            tier=str(tier),
            key=key,
            remote=self.address,
            connected_at_ms=gateway.now_ms(),
            limit_bytes=gateway.max_buffer_bytes,
            user_agent=user_agent,
            window_bits=negotiated_window_bits(self._ws.extensions),
        )
        self._phase = Phase.OPEN
        gateway.hub.add(self.connection)
        gateway.wheel.schedule(self, gateway.heartbeat_seconds)
        gateway.log_connect(self.connection)
        self.connection.answer(gateway.conversation.greeting(self.connection))
        self._receive_what_came_early()

    def _refuse(
        self, close_code: CloseCode, code: ErrorCode, message: str, details: dict[str, Any] | None = None
    ) -> None:
        self._ws.send_text(self._gateway.conversation.error(code, message, details))
        self._ws.send_close(close_code, _reason(message))
        self._flush()
        self._begin_closing()
        self._receive_what_came_early()

    def _receive_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > MAX_EARLY_BYTES:
            self._transport.pause_reading()

    def _receive_what_came_early(self) -> None:
        early, self._early = bytes(self._early), bytearray()
        if early:
            self._receive(early)

    # Messages.

    def _receive(self, data: bytes) -> None:
        ws = self._ws
        ws.receive_data(data)
        for event in ws.events_received():
            if self._phase is Phase.OPEN:
                self._on_frame(cast(Frame, event))
        is_leaving = self._phase is Phase.OPEN and ws.state is not State.OPEN
        if is_leaving:
            self._say_too_large()
        self._flush()
        if is_leaving:
            self._release()
            self._begin_closing()

    def _on_frame(self, frame: Frame) -> None:
        """Put messages together. Control frames are the library's: it has answered them."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._on_message(bytes(frame.data), is_text=self._is_text)
            else:
                self._fragments += frame.data
        elif frame.opcode is Opcode.CONT:
            self._fragments += frame.data
            if frame.fin:
                payload, self._fragments = bytes(self._fragments), bytearray()
                self._on_message(payload, is_text=self._is_text)

    def _say_too_large(self) -> None:
        """Before the close with 1009, the error that a client looks for."""
        sent = self._ws.close_sent
        if sent is not None and sent.code == LibraryCloseCode.MESSAGE_TOO_BIG and self.connection is not None:
            self.connection.answer(self._gateway.too_large(self.kind))

    def _on_message(self, payload: bytes, *, is_text: bool) -> None:
        assert self.connection is not None, "messages are read only of an admitted client"
        self._gateway.on_message(self, self.connection, payload, is_text=is_text)

    @property
    def is_open(self) -> bool:
        """Admitted, and neither side has begun to close."""
        return self._phase is Phase.OPEN

    @property
    def is_arriving(self) -> bool:
        """Not yet decided whether it is let in."""
        return self._phase is Phase.HANDSHAKE or self._phase is Phase.AUTHENTICATING

    # The way out (ClientTransport).

    def buffered_bytes(self) -> int:
        return self._buffered_size()

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Begin the closing handshake; the client has ``close_timeout_seconds`` to answer. Idempotent.

        One that has not yet sent its request is dropped: there is nothing to shake hands over.
        """
        if self._phase is Phase.HANDSHAKE:
            self.abort()
        if self._ws.state is not State.OPEN or not (self.is_open or self.is_arriving):
            return
        if self.connection is not None:
            self._gateway.hub.flush_and_remove(self.connection)
            self._gateway.note_end(self.connection, code, reason)
        self._ws.send_close(code, _reason(reason))
        self._flush()
        self._begin_closing()
        self._receive_what_came_early()

    def yield_slot(self) -> None:
        """Leave at once so that another may have the place."""
        self._release()
        self.close(CloseCode.LIMIT, "gave way to a client")

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._begin_closing()
        self._transport.abort()

    def _begin_closing(self) -> None:
        """Be no client any more: nothing follows the close frame, as the hub writes to nobody it has forgotten."""
        self._phase = Phase.CLOSING
        if self._auth_task is not None:
            self._auth_task.cancel()
        self._leave_hub()
        self._gateway.wheel.schedule(self, self._gateway.close_timeout_seconds)

    def _leave_hub(self) -> None:
        if self.connection is not None:
            self._gateway.hub.remove(self.connection)

    def _release(self) -> None:
        """Give the place in the tier back. Idempotent."""
        if self._admitted is not None:
            tier, key_id = self._admitted
            self._admitted = None
            self._gateway.admission.release(tier, key_id)

    def _flush(self) -> None:
        """Write what the library has to say: handshake, pongs, close frames; behind the events that precede it."""
        for data in self._ws.data_to_send():
            if data != SEND_EOF:
                if self.connection is not None and self.connection.group is not None:
                    self.connection.group.flush_to(self.connection)
                self._transport.write(self._head + data if self._head else data)
                self._head = b""
            elif self._transport.can_write_eof() and not self._transport.is_closing():
                self._transport.write_eof()


def _reason(text: str) -> str:
    """Cut a text to what a close frame holds, between characters."""
    return text.encode()[:LONGEST_REASON_BYTES].decode(errors="ignore")
