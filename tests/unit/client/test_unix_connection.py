"""The light client of the control socket, against the library's own server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close as CloseFrame
from websockets.frames import CloseCode
from websockets.sync.server import ServerConnection, unix_serve

from swimctl.client.unix_connection import Close, NoWebSocket, UnixClosed, UnixConnection

Talk = Callable[[ServerConnection], None]


@contextmanager
def connected(folder: Path, talk: Talk, *, max_size: int = 2**20) -> Iterator[UnixConnection]:
    """A connection to a server that does what the test says."""
    path = folder / "socket"
    with unix_serve(talk, str(path), compression=None, max_size=2**24) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = dial(path, max_size=max_size)
        try:
            yield connection
        finally:
            connection.close()
            server.shutdown()
            thread.join()


def dial(path: Path, *, max_size: int = 2**20) -> UnixConnection:
    return UnixConnection(path, "ws://swim/path", open_timeout=10, close_timeout=5, max_size=max_size)


def echo(client: ServerConnection) -> None:
    for message in client:
        client.send(message)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
def test_messages_of_every_form_of_length_go_both_ways(tmp_path: Path, size: int) -> None:
    with connected(tmp_path, echo) as connection:
        connection.send("é" + "x" * size)
        assert connection.recv(10) == b"\xc3\xa9" + b"x" * size


def test_what_comes_together_is_given_one_by_one_and_pings_between_are_answered(tmp_path: Path) -> None:
    answered = threading.Event()

    def talk(client: ServerConnection) -> None:
        client.send("first")
        pong = client.ping(b"payload")
        client.send(["in ", "three ", "parts"])
        client.send(b"bytes")
        assert pong.wait(10)
        answered.set()
        client.recv()

    with connected(tmp_path, talk) as connection:
        assert [connection.recv(10) for _ in range(3)] == [b"first", b"in three parts", b"bytes"]
        with pytest.raises(TimeoutError):
            connection.recv(0.0)
        assert answered.wait(10)
        connection.send("end")


def test_time_that_runs_out_loses_nothing(tmp_path: Path) -> None:
    go = threading.Event()

    def talk(client: ServerConnection) -> None:
        assert go.wait(10)
        client.send("late")
        client.recv()

    with connected(tmp_path, talk) as connection:
        with pytest.raises(TimeoutError):
            connection.recv(0.01)
        go.set()
        assert connection.recv(10) == b"late"
        connection.send("end")


def test_close_is_answered_and_tells_code_and_reason_after_the_last_message(tmp_path: Path) -> None:
    received: list[CloseFrame | None] = []

    def talk(client: ServerConnection) -> None:
        client.send("last")
        client.close(CloseCode.SERVICE_RESTART, "again; retry_ms=5")
        received.append(client.protocol.close_rcvd)

    with connected(tmp_path, talk) as connection:
        assert connection.recv(10) == b"last"
        for ask in (lambda: connection.recv(10), lambda: connection.send("x")):
            with pytest.raises(UnixClosed) as closed:
                ask()
            assert closed.value.rcvd == Close(1012, "again; retry_ms=5")
    assert [each.code for each in received if each is not None] == [1012]


def test_our_close_is_a_normal_one(tmp_path: Path) -> None:
    seen: list[CloseFrame | None] = []

    def talk(client: ServerConnection) -> None:
        echo(client)
        seen.append(client.protocol.close_rcvd)

    with connected(tmp_path, talk) as connection:
        connection.close()
        connection.close()
        with pytest.raises(UnixClosed) as closed:
            connection.recv(1)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1000
    assert [each.code for each in seen if each is not None] == [1000]


def test_message_that_is_too_long_ends_it(tmp_path: Path) -> None:
    codes: list[int | None] = []

    def talk(client: ServerConnection) -> None:
        client.send("x" * 2_000)
        with suppress(ConnectionClosed):
            client.recv()
        codes.append(client.close_code)

    with connected(tmp_path, talk, max_size=1_000) as connection, pytest.raises(UnixClosed):
        connection.recv(10)
    assert codes == [1009]


ANSWERS = {
    "refused": (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "503"),
    "no-http": (b"what?\r\n\r\n", "what?"),
    "endless": (b"HTTP/1.1 101 Switching Protocols\r\nx: " + b"y" * 20_000, "valid HTTP"),
    "silent-end": (b"", "valid HTTP"),
}


@pytest.mark.parametrize(("answer", "told"), ANSWERS.values(), ids=ANSWERS)
def test_who_speaks_no_websocket_is_told_of(tmp_path: Path, answer: bytes, told: str) -> None:
    with raw_server(tmp_path / "socket", answer), pytest.raises(NoWebSocket, match=told.replace("?", "\\?")):
        dial(tmp_path / "socket")


@pytest.mark.parametrize(
    ("frames", "rcvd"),
    [(b"", None), (b"\x88\x00", Close(1005, "")), (b"\x81\x85abcdefghi", None), (b"\xc1\x01x", None)],
    ids=["broken-off", "without-a-code", "masked", "reserved-bit"],
)
def test_frames_that_a_server_may_not_send_end_it(tmp_path: Path, frames: bytes, rcvd: Close | None) -> None:
    with raw_server(tmp_path / "socket", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frames):
        connection = dial(tmp_path / "socket")
        with pytest.raises(UnixClosed) as closed:
            connection.recv(10)
        assert closed.value.rcvd == rcvd
        connection.close()


@contextmanager
def raw_server(path: Path, answer: bytes) -> Iterator[None]:
    """Answers one request with these bytes and hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                peer.sendall(answer)
                peer.shutdown(socket.SHUT_WR)
                peer.settimeout(10)
                while peer.recv(65_536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()
