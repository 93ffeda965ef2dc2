"""A scripted SQL Server for tests: TDS 7.4 with TLS, logins and statements, and a hook for each phase.

It does not understand SQL: a hook's return value is what the driver receives. One thread per connection.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, Self

from support import tds_wire as wire
from support.tds_wire import Call, Login

DEADLOCK = 1205
"""After this error the server has rolled the transaction back, and drivers know it."""
BEGIN, COMMIT, ROLLBACK = 5, 7, 8
ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUPPORTED, ENCRYPT_REQUIRED = 0, 1, 2, 3


@dataclass(frozen=True)
class Error:
    """Answer with an error of this number."""

    number: int
    message: str = "scripted"
    severity: int = 16


class Drop:
    """Close the connection."""


class Reset:
    """Reset the connection."""


class Silence:
    """Don't answer until the server ends."""


Answer = bytes | Error | Drop | Reset | Silence | None
"""None: success, with nothing to tell."""


class Statements(Protocol):
    """Answers statements."""

    def batch(self, connection: Connection, sql: str) -> Answer: ...

    def call(self, connection: Connection, call: Call) -> Answer: ...

    def transaction(self, connection: Connection, request: int) -> None: ...

    def gone(self, connection: Connection) -> None: ...


class NoStatements:
    """Answers every statement with an empty result."""

    def batch(self, connection: Connection, sql: str) -> Answer:
        return None

    def call(self, connection: Connection, call: Call) -> Answer:
        return None

    def transaction(self, connection: Connection, request: int) -> None:
        return None

    def gone(self, connection: Connection) -> None:
        return None


SP_EXECUTE = 12


class TdsServer:
    """Listens on a free port of this machine while entered."""

    def __init__(self, statements: Statements | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.statements: Statements = statements or NoStatements()
        self.tls = tls
        """TLS 1.2 at most: a TDS 7 client sends the last message of a 1.3 handshake unwrapped."""
        self.on_accept: Callable[[], Answer] = lambda: None
        self.on_login: Callable[[Login], Answer] = lambda login: None
        self.on_statement: Callable[[str], Answer] = lambda sql: None
        """Asked first about each statement; None leaves it to ``statements``."""
        self.logins: list[Login] = []
        self.encrypted: list[bool] = []
        """For each login, whether it came through TLS."""
        self.sql: list[str] = []
        """Every statement, in order."""
        self.round_trips = 0
        """Messages after the logins: a client waits for the answer to each."""
        self.faults: list[BaseException] = []
        """What went wrong in the server itself: a test's end looks that there was nothing."""
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(5)
        assert not self.faults, self.faults

    def drop_all(self) -> None:
        """Break every connection."""
        for peer in list(self._sockets):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.add(peer)
            self._start(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        connection = Connection(self, peer)
        try:
            connection.run()
        except (EOFError, OSError):
            pass  # the client has gone, or the script says so
        except BaseException as error:  # noqa: BLE001 - shown by the test that entered this server
            self.faults.append(error)
        finally:
            self._sockets.discard(peer)
            peer.close()
            self.statements.gone(connection)


class Connection:
    """One client, from its first packet on."""

    def __init__(self, server: TdsServer, peer: socket.socket) -> None:
        self.server = server
        self.state: dict[str, object] = {}
        """What ``statements`` keeps about this client."""
        self._socket = peer
        self._stream: _Plain | _Tls = _Plain(peer)

    def run(self) -> None:
        """Serve until one side disconnects."""
        if not self._act(self.server.on_accept(), b""):
            return
        login = self._login()
        if not self._act(self.server.on_login(login), wire.welcome(login)):
            return
        while True:
            kind, body = self._receive()
            self.server.round_trips += 1
            if kind == wire.ATTENTION:
                self._send(wire.done(wire.DONE_ATTENTION))
            elif kind == wire.TRANSACTION:
                self._manage_transaction(_without_headers(body))
            elif kind == wire.BATCH:
                self._answer_batch(_without_headers(body).decode("utf-16-le"))
            elif kind == wire.RPC:
                self._answer_call(wire.read_call(_without_headers(body)))
            else:
                raise AssertionError(f"no driver was seen to send a message of kind {kind}")

    def _login(self) -> Login:
        kind, body = self._receive()
        assert kind == wire.PRELOGIN, kind
        asked = wire.read_options(body)
        wanted = asked.get(1, bytes([ENCRYPT_NOT_SUPPORTED]))[0]
        encryption = self._encryption(wanted)
        options = [(0, bytes((16, 0, 4, 0, 0, 0))), (1, bytes([encryption])), (2, b"\0"), (3, b""), (4, b"\0")]
        if 6 in asked:
            options.append((6, b"\x01"))
        self._send(wire.option_offsets(options))
        plain = self._stream
        if encryption != ENCRYPT_NOT_SUPPORTED:
            assert self.server.tls is not None
            self._stream = _Tls(self._socket, self.server.tls)
        kind, body = self._receive()
        assert kind == wire.LOGIN7, kind
        self.server.encrypted.append(isinstance(self._stream, _Tls))
        if encryption == ENCRYPT_OFF:
            self._stream = plain  # only the login itself was encrypted
        login = wire.read_login(body)
        self.server.logins.append(login)
        return login

    def _encryption(self, wanted: int) -> int:
        if self.server.tls is None:
            return ENCRYPT_NOT_SUPPORTED
        return ENCRYPT_ON if wanted in {ENCRYPT_ON, ENCRYPT_REQUIRED} else ENCRYPT_OFF

    def _manage_transaction(self, body: bytes) -> None:
        request = struct.unpack("<H", body[:2])[0]
        scripted = self.server.on_statement({BEGIN: "BEGIN", COMMIT: "COMMIT", ROLLBACK: "ROLLBACK"}.get(request, "?"))
        if scripted is None:
            self.server.statements.transaction(self, request)
        self._act(scripted, wire.transaction_answer(request))

    def _answer_batch(self, sql: str) -> None:
        self.server.sql.append(sql)
        scripted = self.server.on_statement(sql)
        self._act(self.server.statements.batch(self, sql) if scripted is None else scripted, wire.done())

    def _answer_call(self, call: Call) -> None:
        sql = next((value for value in call.values if _is_statement(value)), None)
        if call.procedure in {SP_EXECUTE, "sp_execute"}:  # what was prepared before, by its number
            known = self.state.get("prepared")
            sql = known[call.values[0]][0] if isinstance(known, dict) and call.values[0] in known else None
        if sql is not None:
            self.server.sql.append(sql)
        scripted = None if sql is None else self.server.on_statement(sql)
        self._act(self.server.statements.call(self, call) if scripted is None else scripted, wire.done(token=0xFE))

    def _act(self, answer: Answer, success: bytes) -> bool:
        """Do what the script says; return whether the connection continues."""
        if isinstance(answer, Drop):
            raise EOFError
        if isinstance(answer, Reset):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        if isinstance(answer, Silence):
            self.server.ended.wait()
            raise EOFError
        if isinstance(answer, Error):
            if answer.number == DEADLOCK:
                self.server.statements.transaction(self, ROLLBACK)
            self._send(wire.error(answer.number, answer.message, answer.severity))
            if answer.severity >= 20:
                raise EOFError
            return False
        if answer is not None or success:
            self._send(success if answer is None else answer)
        return True

    def _receive(self) -> tuple[int, bytes]:
        body = b""
        while True:
            kind, status, length = struct.unpack(">BBH", self._stream.read(8)[:4])
            body += self._stream.read(length - 8)
            if status & 1:
                return kind, body

    def _send(self, message: bytes) -> None:
        self._stream.write(wire.packets(message))


class _Plain:
    """The bytes of a connection as they are."""

    def __init__(self, peer: socket.socket) -> None:
        self._socket = peer
        self._buffer = b""

    def read(self, length: int) -> bytes:
        while len(self._buffer) < length:
            received = self._socket.recv(65_536)
            if not received:
                raise EOFError
            self._buffer += received
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)


class _Tls:
    """The bytes of a connection through TLS, whose handshake travels in PRELOGIN packets."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext) -> None:
        self._plain = _Plain(peer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._socket = peer
        self._buffer = b""
        self._shake_hands()

    def read(self, length: int) -> bytes:
        while len(self._buffer) < length:
            try:
                decrypted = self._tls.read(65_536)
            except ssl.SSLWantReadError:
                received = self._socket.recv(65_536)
                if not received:
                    raise EOFError from None
                self._incoming.write(received)
                continue
            if not decrypted:
                raise EOFError
            self._buffer += decrypted
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._socket.sendall(self._outgoing.read())

    def _shake_hands(self) -> None:
        is_done = False
        while not is_done:
            try:
                self._tls.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            if outgoing := self._outgoing.read():
                self._plain.write(wire.packets(outgoing, wire.PRELOGIN))
            if not is_done:
                length = struct.unpack(">H", self._plain.read(8)[2:4])[0]
                self._incoming.write(self._plain.read(length - 8))


def _without_headers(body: bytes) -> bytes:
    return body[struct.unpack("<I", body[:4])[0] :]


def _is_statement(value: object) -> bool:
    return isinstance(value, str) and value.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
