"""One client's TCP connection: the library's Sans-I/O WebSocket protocol inside an asyncio.Protocol."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, cast

from websockets.frames import CloseCode as LibraryCloseCode
from websockets.protocol import SEND_EOF, State

from swim_server.concurrency.direct_write import descriptor_of
from swim_server.concurrency.timer_wheel import Alarm
from swim_server.gateway.closing import close_due, close_reason, move_time, write_eof
from swim_server.gateway.compression import negotiated_window_bits
from swim_server.gateway.entry import Entry
from swim_server.gateway.frames.at_once import answer_at_once
from swim_server.gateway.frames.reader import LIGHT_SECONDS, FrameReader
from swim_server.gateway.handshake import open_protocol
from swim_server.gateway.http.plain_connection import PlainConnection
from swim_server.gateway.inbound_policy import InboundLimit
from swim_server.gateway.read_gate import Hold, ReadGate
from swim_server.protocol.codes import CloseCode, ErrorCode
from swim_server.streaming.client import Client
from swim_server.streaming.connection import LOCAL_TIER, Connection

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

    from swim_server.gateway.authentication import TurnedAway
    from swim_server.gateway.context import EndpointContext
    from swim_server.gateway.handshake import Accepted
    from swim_server.gateway.http.protocols import PlainReceiver
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.keys.records import KeyRecord

HTTP_IDLE_SECONDS = 35.0
"""A plain HTTP connection is dropped after so long without input, unless it is receiving an answer."""


class Phase(Enum):
    """The state of a connection."""

    ARRIVING = "arriving"
    """Not admitted yet."""
    OPEN = "open"
    HTTP = "http"
    """Its request is not for a WebSocket: the plain HTTP server answers it and those that follow."""
    CLOSING = "closing"
    LOST = "lost"


class Endpoint(asyncio.Protocol):
    """Reads requests and messages, writes answers; passes events' frames through unchanged.

    The upgrade is accepted first and then authenticated, because browsers can't see why one is refused. Nothing that
    the client sends is read before it is admitted.
    """

    __slots__ = (
        "_admitted", "_answer", "_context", "_entry", "_gate", "_is_upgraded", "_monotonic",
        "_move_at", "_phase", "_plain", "_protocol", "_publications", "_reader", "_rest_alarm", "_transport", "address",
        "connection", "inbound", "is_plain", "kind", "last_seen", "wheel_tick", "write",
    )  # fmt: skip

    def __init__(self, context: EndpointContext, kind: ListenerKind) -> None:
        self.kind = kind
        self.connection: Connection | None = None
        self.address = "local"
        """The client's address for logs and limits: behind a trusted proxy, the one that the proxy reports."""
        self.inbound = InboundLimit()
        self._publications: InboundLimit | None = None
        self.last_seen = 0.0
        """``monotonic`` when bytes last came from the client."""
        self.wheel_tick: int | None = None
        self._context = context
        self._monotonic = context.clock.monotonic
        self._phase = Phase.ARRIVING
        self._entry: Entry | None = None
        """Handles the connection from its first byte until the client is admitted or refused."""
        self._plain: PlainReceiver | None = None
        """Set if its request is not for a WebSocket."""
        self._move_at = math.inf
        """``monotonic`` when the client is asked to reconnect."""
        self.is_plain = False
        """A plain HTTP request, such as a health check, which does not count as a client."""
        self._protocol: ServerProtocol | None = None
        """The library's protocol, from the upgrade on; none between two frames (``rest``)."""
        self._answer = b""
        """The answer to the upgrade, until it is written together with what follows at once."""
        self._reader: FrameReader | None = None
        """Reads the frames after the upgrade; none between two of them (``rest``)."""
        self._is_upgraded = False
        self._rest_alarm: Alarm | None = None
        self._admitted: KeyRecord | None = None

    @property
    def ws(self) -> ServerProtocol:
        """The library's protocol, made again if it was given up."""
        if self._protocol is None:
            assert self._is_upgraded, "only what was upgraded has frames"
            self._protocol = open_protocol(self.kind)
        return self._protocol

    def rest(self) -> None:
        """Give up reader and protocol, half of an idle connection's memory; called between two frames.

        New ones do the same when bytes come, but for a closing handshake and a negotiated extension.
        """
        protocol = self._protocol
        if protocol is not None and self.is_open and protocol.state is State.OPEN and not protocol.extensions:
            protocol.parser.close()  # which refers to it
            self._protocol = self._reader = None

    def _receive_frames(self, data: bytes) -> None:
        if self._reader is None:
            if self._protocol is None and self._is_answered_at_once(data):
                return
            self._reader = self._new_reader()
        self._reader.receive(data)

    def _new_reader(self) -> FrameReader:
        return FrameReader(self, self._gate, self._context.reading_queues, self._context.settings, self.kind)

    def _is_answered_at_once(self, data: bytes) -> bool:
        seconds = answer_at_once(self, self._gate, self._context.reading_queues, self.kind, data)
        if seconds is not None and seconds >= LIGHT_SECONDS and self.is_open:
            self._reader = self._reader or self._new_reader()
            self._reader.note_heavy()
        return seconds is not None

    @property
    def ignores_input(self) -> bool:
        """Whether the library ignores whatever still comes."""
        return self._protocol is not None and self._protocol.eof_sent

    def publications(self) -> InboundLimit:
        """Return the counter of the client's publications, which are counted apart from its other messages."""
        if self._publications is None:
            self._publications = InboundLimit()
        return self._publications

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        context = self._context
        self._transport = cast(asyncio.Transport, transport)
        self.write: Callable[[bytes], None] = self._transport.write
        self._transport.set_write_buffer_limits(high=context.high_water_bytes)
        self._gate = ReadGate(self._transport)
        self._entry = Entry(context, self.kind, self, self._gate, transport.get_extra_info("peername"))
        self.last_seen = self._monotonic()
        context.gateway.add(self)
        if not self.kind.is_local:
            peer = transport.get_extra_info("peername")
            context.arrivals.add(self, str(peer[0]) if peer else None)
        context.wheel.schedule(self, context.settings.handshake_timeout_seconds)

    def data_received(self, data: bytes) -> None:
        self.last_seen = self._monotonic()
        if self._entry is not None:
            self._entry.receive(data)
        elif self._phase is Phase.HTTP:
            self._receive_plain(data)
        elif self._is_upgraded:  # else it follows a request that was rejected
            self._receive_frames(data)

    def eof_received(self) -> bool:
        """Release a client that sends no more; the transport closes once everything written has been sent."""
        if self._plain is not None:
            return self._plain.receive_eof()
        if self._is_upgraded:
            self.ws.receive_eof()
        self._release()
        if self._is_upgraded:
            self.flush()
        if self._phase is not Phase.CLOSING:
            self._begin_closing()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._plain is not None:
            self._plain.lost(exc)
            self._plain = None
        self._begin_closing()
        self._phase = Phase.LOST
        self._context.wheel.cancel(self)
        if self._rest_alarm is not None:
            self._context.wheel.cancel(self._rest_alarm)
            self._rest_alarm = None
        self._context.gateway.forget(self)
        self._release()
        if self.connection is not None:
            sent, received = (ws.close_sent, ws.close_rcvd) if (ws := self._protocol) is not None else (None, None)
            self._context.log.disconnected(self.connection, sent, received)
        # Break the reference cycles of the library's parser and protocol, and of a client's two sides, now:
        # the garbage collector examines old objects only once a day.
        if self._protocol is not None:
            self._protocol.parser.close()
            self._protocol.parser_exc = self._protocol.handshake_exc = None  # their tracebacks refer to it
        if self._reader is not None:  # it may still be queued for its turn
            self._reader.discard()
        self.connection = self._reader = None
        self._is_upgraded = False

    def pause_writing(self) -> None:
        """Stop reading from a client that reads too slowly, until it catches up: each ping would add a pong."""
        if self.connection is not None and self._phase is Phase.OPEN:
            self.connection.pause()
        self._gate.add(Hold.UNWRITTEN)
        if self._plain is not None:
            self._plain.pause_writing()

    def resume_writing(self) -> None:
        self._read_on(Hold.UNWRITTEN)
        if self._plain is not None:
            self._plain.resume_writing()
        if self.connection is not None and self._phase is Phase.OPEN:
            self.connection.resume()

    # What is due: the end of the handshake's time, a heartbeat, or a close.

    def on_due(self) -> None:
        context, heartbeat_seconds = self._context, self._context.settings.heartbeat_seconds
        if self._entry is not None and self._entry.is_upgraded:
            self._entry.give_up()
        elif self._entry is not None and (refused := self._entry.too_slow()) is not None:
            self._transport.write(refused.answer)
            self._transport.close()  # its time is over: it is not waited for
            self._begin_closing()
        elif self._plain is not None and self._plain.is_taken():
            context.wheel.schedule(self, HTTP_IDLE_SECONDS)
        elif self._phase is not Phase.OPEN:
            self.abort()
        elif due := close_due(
            self._monotonic(), last_seen=self.last_seen, move_at=self._move_at, heartbeat_seconds=heartbeat_seconds
        ):
            self.close(due.code, due.reason, retry_ms=due.retry_ms)
        else:
            assert self.connection is not None, "an open endpoint has its connection"
            context.wheel.schedule(self, heartbeat_seconds)
            self.connection.send_frame(context.heartbeats.current())

    # Called by the entry (EntryOwner).

    def reject(self, answer: bytes) -> None:
        """Answer a request that is refused, and close the connection."""
        self._entry = None
        self._transport.write(answer)
        write_eof(self._transport)
        self._begin_closing()

    def upgrade(self, accepted: Accepted) -> None:
        """Speak WebSocket from here on. The answer to the upgrade is written with what follows at once."""
        self._protocol, self._answer = accepted.protocol, accepted.answer
        self._is_upgraded = True
        self.write = self._write_behind_answer

    def _write_behind_answer(self, data: bytes) -> None:
        answer, self._answer = self._answer, b""
        self.write = self._transport.write
        self.write(answer + data)

    def admit(self, accepted: Accepted, key: KeyRecord | None) -> None:
        """Admit the client: with its key, which is counted in its tier, or on the control socket."""
        context = self._context
        early = self._end_entry()
        self._admitted = key
        client = Client(
            tier=str(key.tier) if key is not None else LOCAL_TIER,
            key=key,
            remote=self.address,
            connected_at_ms=context.clock.now_ms(),
            user_agent=accepted.user_agent,
            window_bits=negotiated_window_bits(self.ws.extensions),
        )
        limit_bytes = context.settings.max_buffer_bytes
        self.connection = Connection(f"client_{os.urandom(8).hex()}", self, client, limit_bytes=limit_bytes)
        self._phase = Phase.OPEN
        context.arrivals.remove(self)
        context.hub.add(self.connection)
        if not self.kind.is_local:
            self._move_at = move_time(self._monotonic(), context.settings.max_connection_hours)
        context.wheel.schedule(self, context.settings.heartbeat_seconds)
        context.log.connected(self.connection)
        self.connection.answer(context.conversation.greeting(self.connection))
        if accepted.max_message_bytes is not None:
            context.conversation.limit_messages(self.connection, accepted.max_message_bytes)
        self._receive_what_came_early(early)
        if not early:
            self.rest()

    def turn_away(self, refused: TurnedAway) -> None:
        """Tell a refused client the reason, and close."""
        early, conversation = self._end_entry(), self._context.conversation
        self.ws.send_text(conversation.error(refused.error_code, refused.message, refused.details))
        self.ws.send_close(refused.close_code, close_reason(refused.message))
        self.flush()
        self._begin_closing()
        self._receive_what_came_early(early)

    def _end_entry(self) -> bytes:
        """Return the received bytes that were not processed."""
        entry, self._entry = self._entry, None
        return entry.end() if entry is not None else b""

    def _receive_what_came_early(self, early: bytes) -> None:
        if early and self._is_upgraded:
            self._receive_frames(early)

    # Plain HTTP. The connection still counts as not admitted, with all the limits of that.

    def serve_http(self, data: bytes) -> None:
        """Have a request that is not for a WebSocket answered, and those that follow on its connection."""
        context, self._entry = self._context, None
        self._phase, self.is_plain = Phase.HTTP, True
        self._gate.add(Hold.UNADMITTED)
        if context.elsewhere is not None:
            context.arrivals.remove(self)
            self._plain = context.elsewhere.connection(self, self._transport)
            self._receive_plain(data)
            return
        assert context.http is not None, "requests are handed on only where plain HTTP is served"
        self._plain = plain = PlainConnection(
            self, self._transport, max_head_bytes=context.settings.max_head_bytes, monotonic=self._monotonic
        )
        self._receive_plain(data)
        plain.serve(context.http, context.tasks)

    def _receive_plain(self, data: bytes) -> None:
        self._context.wheel.schedule(self, HTTP_IDLE_SECONDS)
        if self._plain is not None:
            self._plain.receive(data)

    def read_plain(self) -> None:
        """Resume reading: the HTTP protocol is ready."""
        self._gate.remove(Hold.UNADMITTED)

    def hold_plain(self) -> None:
        """Stop reading until ``read_plain``."""
        self._gate.add(Hold.UNADMITTED)

    def stay_plain(self) -> None:
        """Extend the deadline: the client is being sent something and sends nothing itself."""
        self._context.wheel.schedule(self, HTTP_IDLE_SECONDS)

    def admit_stream(self) -> None:
        """Stop counting it as not admitted: it has a slot in its tier."""
        self._context.arrivals.remove(self)

    def shake_hands(self, head: bytes) -> None:
        """Take the connection back: the next request on it is for a WebSocket."""
        self._phase, self._plain, self.is_plain = Phase.ARRIVING, None, False
        self._entry = Entry(self._context, self.kind, self, self._gate, self._transport.get_extra_info("peername"))
        self._context.wheel.schedule(self, self._context.settings.handshake_timeout_seconds)
        self._entry.receive(head)

    # Messages (FrameOwner, Sender).

    def count_frame(self, opcode: int, size_bytes: int) -> None:
        """Count a frame and its inflated size in bytes."""
        assert self.connection is not None, "frames are counted only of an admitted client"
        self._context.dispatcher.count_frame(self, self.connection, opcode, size_bytes)

    def on_message(self, payload: bytes, size_bytes: int, *, is_text: bool) -> None:
        """Answer a complete message."""
        assert self.connection is not None, "messages are read only of an admitted client"
        self._context.dispatcher.dispatch(self, self.connection, payload, size_bytes, is_text=is_text)

    def leave(self) -> None:
        """Follow the library, which has begun to close: the client asked for it, or violated the protocol."""
        sent = self.ws.close_sent if self.ws.close_rcvd is None else None
        if sent is not None and sent.code == LibraryCloseCode.MESSAGE_TOO_BIG and self.connection is not None:
            self.connection.answer(self._context.dispatcher.too_large(self.kind))
        self._release()  # before the client can know that it has left: others may count its place
        self.flush()
        self._begin_closing()

    def rest_until_next_second(self) -> None:
        """Stop reading for the rest of this second."""
        if self._rest_alarm is None:
            self._rest_alarm = Alarm(lambda: self._read_on(Hold.RATE))
        self._gate.add(Hold.RATE)
        self._context.wheel.schedule(self._rest_alarm, 1 - self._monotonic() % 1)

    def hold_reading(self) -> None:
        """Stop reading: as much as is allowed waits for an answer."""
        self._gate.add(Hold.UNANSWERED)

    def release_reading(self) -> None:
        """Resume reading: what waited is answered."""
        self._read_on(Hold.UNANSWERED)

    def _read_on(self, hold: Hold) -> None:
        self._gate.remove(hold)
        if self._reader is not None:
            self._reader.wake()

    @property
    def is_open(self) -> bool:
        """Whether it is admitted and neither side has begun to close."""
        return self._phase is Phase.OPEN

    @property
    def is_arriving(self) -> bool:
        """Whether its admission is still undecided."""
        return self._phase is Phase.ARRIVING

    # Called by the connection (ClientTransport).

    def descriptor(self) -> int | None:
        return descriptor_of(self._transport) if not self._answer else None

    def peer(self) -> tuple[str, int] | None:
        found = self._transport.get_extra_info("peername")
        return (str(found[0]), int(found[1])) if found and not self.kind.is_local else None

    def buffered_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self, code: CloseCode, reason: str = "", *, retry_ms: int = 0) -> None:
        """Begin the closing handshake; the client has ``close_timeout_seconds`` to answer. Idempotent.

        A connection that has not sent its request yet is dropped without a handshake.
        """
        if self._plain is not None and self._plain.close(code, reason, retry_ms=retry_ms):
            return
        if self._phase is Phase.HTTP or (self._entry is not None and not self._entry.is_upgraded):
            self.abort()
        if not self._is_upgraded or not (self.is_open or self.is_arriving) or self.ws.state is not State.OPEN:
            return
        if self.connection is not None:
            if code is CloseCode.SERVICE_RESTART and self.connection.wants_notices:
                notice = self._context.conversation.error(ErrorCode.RESTARTING, reason, {"retry_ms": retry_ms})
                self.connection.answer(notice)
            self._context.hub.flush_and_remove(self.connection)
            self._context.log.ended(self.connection, code, reason)
        early = self._end_entry()
        self.ws.send_close(code, close_reason(reason))
        self.flush()
        self._begin_closing()
        self._receive_what_came_early(early)

    def close_abuser(self, reason: str) -> None:
        """Close with 4002 and ignore everything that still comes."""
        self.close(CloseCode.LIMIT, reason)
        self._gate.add(Hold.ABUSE)

    def yield_slot(self) -> None:
        """Leave at once to free the slot for another client."""
        self._release()
        self.close(CloseCode.LIMIT, "gave way to a client")

    def abort(self) -> None:
        """Drop the connection without a closing handshake."""
        self._begin_closing()
        self._transport.abort()

    def _begin_closing(self) -> None:
        """Stop being a client: nothing may follow the close frame, so the hub forgets it."""
        self._phase = Phase.CLOSING
        self._context.arrivals.remove(self)
        self._end_entry()
        self._leave_hub()
        self._read_on(Hold.RATE | Hold.UNANSWERED | Hold.UNADMITTED)  # the answer to our close comes after what is held
        self._context.wheel.schedule(self, self._context.settings.close_timeout_seconds)

    def _leave_hub(self) -> None:
        if self.connection is not None:
            self._context.hub.remove(self.connection)

    def _release(self) -> None:
        """Give back the slot in the tier. Idempotent."""
        if self._admitted is not None:
            key, self._admitted = self._admitted, None
            self._context.authentication.release(key)

    def flush(self) -> None:
        """Write what the library wants to send (pongs, close frames), after the events that precede it."""
        for data in self.ws.data_to_send():
            if data != SEND_EOF:
                if self.connection is not None and self.connection.group is not None:
                    self.connection.group.flush_to(self.connection)
                self.write(data)
            else:
                write_eof(self._transport)
