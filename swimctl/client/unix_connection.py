"""A blocking WebSocket over a Unix socket that is there soon: for short questions, and for streams.

The protocol is websockets' own; what only networks need (TLS, proxies, threads) is not imported, which is half of what
a command like ``status`` would take. Pings are answered while something is awaited, not between.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from pathlib import Path

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

READ_BYTES = 65_536


class UnixConnection:
    """One open connection; for one thread. Raises as websockets' own blocking client does."""

    def __init__(self, path: Path, uri: str, *, open_timeout: float, close_timeout: float, max_size: int) -> None:
        self._close_timeout = close_timeout
        self._protocol = ClientProtocol(parse_uri(uri), max_size=max_size)
        self._messages: deque[bytes] = deque()
        self._parts: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(open_timeout)
            self._socket.connect(str(path))
            self._protocol.send_request(self._protocol.connect())
            self._flush()
            deadline = time.monotonic() + open_timeout
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                self._read(deadline)
            if self._protocol.handshake_exc is not None:
                raise self._protocol.handshake_exc
        except BaseException:
            self._socket.close()
            raise

    def send(self, text: str) -> None:
        """Send a text message. Raises ConnectionClosed."""
        self._raise_if_closed()
        self._protocol.send_text(text.encode())
        self._flush()

    def recv(self, timeout: float | None = None) -> bytes:
        """Return the next message. Raises TimeoutError, ConnectionClosed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._messages:
            self._raise_if_closed()
            self._read(deadline)
        return self._messages.popleft()

    def close(self) -> None:
        """Say good-bye and hang up. Idempotent."""
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(1000)
                self._flush()
                deadline = time.monotonic() + self._close_timeout
                while not self._is_closed():
                    self._read(deadline)
        except OSError:
            pass  # it has gone already, or takes longer than it is worth
        finally:
            self._socket.close()

    def _is_closed(self) -> bool:
        return self._protocol.state is State.CLOSED

    def _raise_if_closed(self) -> None:
        if self._is_closed():
            raise self._protocol.close_exc

    def _read(self, deadline: float | None) -> None:
        """Take what has come, or wait for it. Raises TimeoutError."""
        if deadline is None:
            self._socket.settimeout(None)
        elif (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
        else:
            self._socket.settimeout(0.0)
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            raise TimeoutError from None
        except ConnectionError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if not isinstance(event, Response):
                self._take(event)
        self._flush()

    def _take(self, event: object) -> None:
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._parts.append(bytes(event.data))
        if event.fin:
            self._messages.append(b"".join(self._parts))
            self._parts.clear()

    def _flush(self) -> None:
        self._socket.settimeout(self._close_timeout)
        for data in self._protocol.data_to_send():
            try:
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)
            except ConnectionError:
                self._protocol.receive_eof()
                return
            except OSError:
                return  # it is shut down already
