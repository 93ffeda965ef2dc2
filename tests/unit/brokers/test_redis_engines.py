"""Ways to reach a server: TLS, a Unix socket, users, Sentinel, a cluster, Valkey; and what is said where that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.brokers import Listener, broker_settings, numbered
from support.redis_server import ENGINE, WHEELS, RedisServer, command, redis_server, server_program
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.errors import ServerRefused
from swim_server.brokers.redis_stream.sentinel import read_sentinels
from swim_server.brokers.redis_stream.server import ServerAddress, read_cluster_nodes

HERE = Path(__file__).parent
SECONDS = 60.0
PASSWORD = "geheim-7"


@pytest.fixture
def servers() -> Iterator[Callable[..., RedisServer]]:
    """Start servers that end with the test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(redis_server(**settings))


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open brokers on an address; they are closed at the end."""
    brokers: list[RedisBroker] = []

    async def open_broker(url: str, *, listener: Listener | None = None, **login: str) -> RedisBroker:
        address = ServerAddress(url, **login)
        settings = broker_settings({"boot_id": None, "tick_seconds": 0.25})
        broker = RedisBroker(tmp_path / f"{len(brokers)}.db", address, prefix="swim", node="one", **settings)
        brokers.append(broker)
        await broker.open(listener or Listener())
        return broker

    yield open_broker
    await asyncio.gather(*(broker.close() for broker in brokers))


async def comes(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def publishes(broker: RedisBroker, number: int) -> None:
    """Publish once the server is available again."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await broker.publish(numbered(number, named=True))
            except BrokerUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_unix_socket_will_do(servers: Callable[..., RedisServer], opened: Callable[..., Any]) -> None:
    listener = Listener()
    broker = await opened(servers().unix_url, listener=listener)
    await broker.publish(numbered(1))
    await comes(lambda: listener.numbers == [1])


async def test_a_user_with_the_documented_rights_suffices(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server = servers()
    server.command(
        "ACL", "SETUSER", "swim", "on", f">{PASSWORD}", "~{swim}:*", "+@all", "-@dangerous", "-@admin", "+info",
        "+config|get",
    )  # fmt: skip
    broker = await opened(server.url, username="swim", password=PASSWORD)
    await broker.publish(numbered(1))
    with pytest.raises(ServerRefused, match="turns us away") as caught:
        await opened(server.url, username="swim", password="another")
    assert PASSWORD not in str(caught.value)


async def test_tls_is_spoken_and_a_certificate_of_nobody_known_is_refused(
    servers: Callable[..., RedisServer], opened: Callable[..., Any], tmp_path: Path
) -> None:
    if ENGINE in os.environ:
        pytest.skip("servers that come as Python packages are built without TLS")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    port = RedisServer(tmp_path / "unused").port
    options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    options += ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    servers(options=tuple(options))
    broker = await opened(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}")
    await broker.publish(numbered(1))
    with pytest.raises(BrokerUnavailable, match=r"can't be reached: .*certificate"):
        await opened(f"rediss://127.0.0.1:{port}")


async def test_what_is_no_redis_server_is_said_at_the_start(opened: Callable[..., Any]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    with pytest.raises(ServerRefused, match="redis://127"):
        await opened(f"redis://127.0.0.1:{web.sockets[0].getsockname()[1]}")
    web.close()


async def test_a_server_of_an_old_version_is_refused(opened: Callable[..., Any]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = b"redis_version:5.0.14\r\nrun_id:1\r\n"
        while commands := (await reader.read(1000)).count(b"*"):
            writer.write(b"$%d\r\n%b\r\n" % (len(info), info) * commands)
        writer.close()

    old = await asyncio.start_server(answer, "127.0.0.1", 0)
    with pytest.raises(ServerRefused, match=r"is Redis 5\.0\.14; 6\.2 or later is needed"):
        await opened(f"redis://127.0.0.1:{old.sockets[0].getsockname()[1]}")
    old.close()


async def test_a_server_that_turns_read_only_or_full_refuses_events_and_loses_none(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    server, listener = servers(), Listener()
    broker = await opened(server.url, listener=listener)
    await broker.publish(numbered(1))
    if os.environ.get(ENGINE) != "Redis 6.2":  # there scripts may write all the same
        server.command("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(BrokerUnavailable, match="NOREPLICAS"):
            await broker.publish(numbered(2))
        server.command("CONFIG", "SET", "min-replicas-to-write", "0")
    await publishes(broker, 3)
    server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(BrokerUnavailable, match="raise its maxmemory"):
        await broker.publish(numbered(4))
    server.command("CONFIG", "SET", "maxmemory", "0")
    await publishes(broker, 5)
    await comes(lambda: listener.numbers == [1, 3, 5])


async def test_a_reader_keeps_its_connection_when_there_is_nothing_to_read_for_longer_than_the_library_waits(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    """redis-py 8 has a socket timeout of 5 s by default, which breaks blocking reads."""
    server = servers()
    broker = await opened(server.url)
    await broker.publish(numbered(1))
    failures = broker.tail.failures
    ids = _clients(server)
    await asyncio.sleep(6)
    assert len(ids) > 1
    assert ids <= _clients(server)
    assert broker.tail.failures == failures


def _clients(server: RedisServer) -> set[bytes]:
    """Return the connections by id, without the one that asks."""
    lines = server.command("CLIENT", "LIST").splitlines()[1:]
    return {line.split(b" ")[0] for line in lines if b"cmd=client" not in line and line}


async def test_a_cancelled_call_leaves_no_answer_behind_for_the_next(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    """redis-py#2807: a connection whose read was cancelled answered the next command with the former's reply."""
    broker = await opened(servers().url)
    session = await broker.server.open(broker.names.state)
    blocked = asyncio.create_task(session.call("XREAD", "BLOCK", 5000, "STREAMS", "nothing", "$", timeout=10))
    await asyncio.sleep(0.05)
    blocked.cancel()
    await asyncio.gather(blocked, return_exceptions=True)
    assert session.is_broken
    with pytest.raises(BrokerUnavailable, match="is broken"):
        await session.call("PING")
    await session.close()


# Sentinel


class Sentinel:
    """One sentinel that watches a master."""

    def __init__(self, folder: Path, master: RedisServer) -> None:
        self.port = RedisServer(folder / "unused").port
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nlogfile {folder}/sentinel.log\n"
            f"sentinel monitor theirs 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds theirs 500\nsentinel failover-timeout theirs 3000\n"
        )
        program = shutil.which("redis-server")
        assert program is not None, "the servers of this test run"
        self.process = subprocess.Popen([program, str(config), "--sentinel"], stdout=subprocess.DEVNULL)

    @property
    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def test_sentinel_names_the_server_and_after_a_failover_the_other_one(
    servers: Callable[..., RedisServer], opened: Callable[..., Any], tmp_path: Path
) -> None:
    first, second = servers(), servers()
    second.follow(first)
    sentinel = Sentinel(tmp_path, first)
    try:
        listener = Listener()
        nobody = RedisServer(tmp_path / "gone").port
        url = f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{sentinel.port}/theirs"
        await comes(lambda: sentinel.is_listening)
        broker = await opened(url, listener=listener)
        await broker.publish(numbered(1))
        await asyncio.to_thread(second.caught_up, first)
        deadline = time.monotonic() + SECONDS
        while b"num-slaves\r\n$1\r\n1" not in _asked(sentinel.port) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        first.kill()
        await publishes(broker, 2)
        await comes(lambda: listener.numbers == [1, 2])
        with pytest.raises(ServerRefused, match="watches no master 'ours'"):
            await opened(f"redis+sentinel://127.0.0.1:{sentinel.port}/ours")
    finally:
        sentinel.close()


def _asked(port: int) -> bytes:
    return command(port, "SENTINEL", "MASTER", "theirs")


def test_addresses_of_sentinels_are_read() -> None:
    found = read_sentinels("rediss+sentinel://me:pw@10.0.0.1,10.0.0.2:26380/theirs/3")
    assert found is not None
    assert found.urls == ["rediss://me:pw@10.0.0.1:26379", "rediss://me:pw@10.0.0.2:26380"]
    assert found.server_url("::1", 7) == "rediss://[::1]:7/3"
    assert read_sentinels("redis://10.0.0.1") is None
    for wrong in (
        "redis+sentinel://10.0.0.1",
        "redis+sentinel:///m",
        "redis+sentinel://h:x/m",
        "redis+sentinel://h/m/n",
    ):
        with pytest.raises(ValueError, match=r"."):
            read_sentinels(wrong)


# A cluster


async def test_in_a_cluster_the_node_that_keeps_our_keys_is_found_and_found_again_when_they_move(
    servers: Callable[..., RedisServer], opened: Callable[..., Any]
) -> None:
    first, second = (servers(options=("--cluster-enabled", "yes")) for _ in range(2))
    slot = int(first.command("CLUSTER", "KEYSLOT", "{swim}:state")[1:])
    first.command("CLUSTER", "ADDSLOTS", *(str(number) for number in range(16_384) if number != slot))
    second.command("CLUSTER", "ADDSLOTS", str(slot))
    second.command("CLUSTER", "SET-CONFIG-EPOCH", "2")
    first.command("CLUSTER", "MEET", "127.0.0.1", str(second.port))
    await comes(lambda: all(b"cluster_state:ok" in each.command("CLUSTER", "INFO") for each in (first, second)))
    listener = Listener()
    broker = await opened(first.url, listener=listener)
    await broker.publish(numbered(1))
    assert b":1" in second.command("EXISTS", "{swim}:state")
    first.command("CLUSTER", "SETSLOT", str(slot), "IMPORTING", _name(second))
    second.command("CLUSTER", "SETSLOT", str(slot), "MIGRATING", _name(first))
    keys = second.command("CLUSTER", "GETKEYSINSLOT", str(slot), "100").split(b"\r\n")[2::2]
    second.command("MIGRATE", "127.0.0.1", str(first.port), "", "0", "5000", "KEYS", *(key.decode() for key in keys))
    for server in (first, second):
        server.command("CLUSTER", "SETSLOT", str(slot), "NODE", _name(first))
    await publishes(broker, 2)
    await comes(lambda: listener.numbers == [1, 2])
    assert not await broker.has_gap(listener.events[0].id)


def _name(server: RedisServer) -> str:
    return server.command("CLUSTER", "MYID").split(b"\r\n")[1].decode()


def test_nodes_of_a_cluster_are_read() -> None:
    lines = (
        b"a 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5\n"
        b"b 10.0.0.2:7000@17000,host2 master,fail - 0 0 2 connected\n"
        b"c :0@0 master,noaddr - 0 0 2 disconnected\nd ::1:7001@17001 slave a 0 0 1 connected\n"
    )
    assert read_cluster_nodes(lines) == [("10.0.0.1", 7000), ("::1", 7001)]


# Other engines


@pytest.mark.long
@pytest.mark.parametrize("engine", WHEELS)
def test_other_engines_pass_what_this_one_does(engine: str) -> None:
    server_program(engine)
    suites = ["test_broker_contract.py", "test_redis_stream.py", "test_redis_replaced.py", "test_redis_engines.py"]
    paths = [str(HERE / name) for name in suites] + [str(HERE.parent / "cluster")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "not long", "-k", "not Local and not local", *paths],
        env=os.environ | {ENGINE: engine}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
