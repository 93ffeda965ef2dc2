"""The listening sockets, in this process: taken ports, names with several addresses, the control socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from swim_server.gateway import listeners as module
from swim_server.gateway.listeners import Acceptor, CannotListen, Listeners, Serving, plain_server


class Echo(asyncio.Protocol):
    """Says one word to whoever comes."""

    def __init__(self, word: bytes) -> None:
        self.word = word

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.word)
        transport.close()


@pytest.fixture
async def listeners() -> AsyncIterator[Listeners]:
    listeners = Listeners(plain_server(lambda: Echo(b"public")), lambda: Echo(b"local"))
    yield listeners
    listeners.close()
    await asyncio.sleep(0)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def accepting(endpoint: Callable[[], asyncio.Protocol]) -> Callable[[socket.socket], Awaitable[Serving]]:
    """Return a server that accepts by itself."""

    def take(connection: socket.socket, address: str) -> None:
        assert address == "127.0.0.1"
        tasks.append(asyncio.ensure_future(asyncio.get_running_loop().connect_accepted_socket(endpoint, connection)))

    async def serve(listener: socket.socket) -> Serving:
        return Acceptor(listener, take)

    tasks: list[asyncio.Future[Any]] = []
    return serve


async def _hear(family: int, address: Any) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        await loop.sock_connect(client, address)
        return await loop.sock_recv(client, 100)


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


async def test_port_0_takes_a_free_one_and_tells_it(listeners: Listeners) -> None:
    port = await listeners.listen("127.0.0.1", 0)
    assert port > 0
    assert await _hear(socket.AF_INET, ("127.0.0.1", port)) == b"public"


async def test_name_with_several_addresses_gets_one_port_on_each(listeners: Listeners) -> None:
    port = await listeners.listen("localhost", 0)
    assert {each.getsockname()[1] for each in listeners.sockets} == {port}
    assert await _hear(socket.AF_INET, ("127.0.0.1", port)) == b"public"


@pytest.mark.parametrize("serve", [plain_server, accepting], ids=["by the loop", "by an acceptor"])
async def test_what_is_written_to_a_connection_is_sent_at_once(serve: Callable[..., Any]) -> None:
    """On asyncio's own loop too, which tells only sockets so that say their protocol."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Told(Echo):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            told.set_result(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().connection_made(transport)

    listeners = Listeners(serve(lambda: Told(b"public")), lambda: Echo(b"local"))
    port = await listeners.listen("127.0.0.1", 0)
    try:
        assert await _hear(socket.AF_INET, ("127.0.0.1", port)) == b"public"
        assert await told
    finally:
        listeners.close()


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
async def test_ipv6_address_is_served(listeners: Listeners) -> None:
    port = await listeners.listen("::1", 0)
    assert await _hear(socket.AF_INET6, ("::1", port)) == b"public"


async def test_taken_port_is_told_with_the_next_step(listeners: Listeners, taken: int) -> None:
    with pytest.raises(CannotListen) as caught:
        await listeners.listen("127.0.0.1", taken)
    assert caught.value.is_taken
    assert str(caught.value) == (
        f"can't listen on 127.0.0.1 port {taken}: Address already in use; "
        "stop the program that uses it, or choose another: --port 0 takes a free one"
    )
    assert listeners.sockets == []


@pytest.mark.parametrize("host", ["no-such-host.invalid", "999.1.1.1", "192.0.2.1", "a" * 300, "ex ample"])
async def test_host_that_is_not_ours_is_told(listeners: Listeners, host: str) -> None:
    with pytest.raises(CannotListen) as caught:
        await listeners.listen(host, 0)
    assert not caught.value.is_taken
    assert "check [server] host and port" in str(caught.value)


async def test_address_that_this_machine_lacks_is_left_out(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that stands for ::1 too is no trouble where IPv6 is switched off."""
    real = socket.getaddrinfo

    def with_a_foreign_address(*args: Any, **kwargs: Any) -> list[Any]:
        foreign = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
        return [foreign, *real("127.0.0.1", 0, type=socket.SOCK_STREAM)]

    monkeypatch.setattr("socket.getaddrinfo", with_a_foreign_address)
    port = await listeners.listen("either", 0)
    assert await _hear(socket.AF_INET, ("127.0.0.1", port)) == b"public"


async def test_free_port_that_is_taken_on_another_address_is_passed_over(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Any] = []
    real = module._bind_each

    def taken_at_first(addresses: list[Any]) -> Any:
        sockets, errors = real(addresses)
        if len(taken) < 3:
            taken.append(1)
            errors.append(OSError(errno.EADDRINUSE, "Address already in use"))
        return sockets, errors

    monkeypatch.setattr(module, "_bind_each", taken_at_first)
    assert await listeners.listen("localhost", 0) > 0


async def test_control_socket_is_its_owners_alone_and_replaces_a_dead_one(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await listeners.listen_locally(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await _hear(socket.AF_UNIX, str(path)) == b"local"
    assert [each.name for each in tmp_path.iterdir()] == ["control.sock"]


async def test_control_socket_of_the_longest_path_is_bound(listeners: Listeners, tmp_path: Path) -> None:
    from swim_server.daemon.home import SOCKET_PATH_LIMIT

    folder = tmp_path / ("x" * (SOCKET_PATH_LIMIT - len(str(tmp_path)) - len("//control.sock")))
    folder.mkdir()
    path = folder / "control.sock"
    assert len(str(path)) == SOCKET_PATH_LIMIT
    await listeners.listen_locally(path)
    assert await _hear(socket.AF_UNIX, str(path)) == b"local"


async def test_control_socket_in_a_folder_that_is_not_there_raises_and_leaks_nothing(
    listeners: Listeners, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await listeners.listen_locally(tmp_path / "none" / "control.sock")


async def test_after_close_nobody_gets_in(listeners: Listeners) -> None:
    port = await listeners.listen("127.0.0.1", 0)
    listeners.close()
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await _hear(socket.AF_INET, ("127.0.0.1", port))
