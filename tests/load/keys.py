"""Figures of keys: authentication, revocation, recheck, lists. Prints them; asserts no times.

    python tests/load/keys.py [--connections 1000] [--runs 50]

The daemon and this client share the machine's cores; the client is one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_bytes
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.installation import Installation
from swim_server.concurrency.clock import SYSTEM_CLOCK, utc_now
from swim_server.config import DatabaseConfig
from swim_server.daemon.home import Home
from swim_server.keys.audit import operating_user
from swim_server.keys.authenticator import Authenticator
from swim_server.keys.bulk import import_keys
from swim_server.keys.format import Tier, generate
from swim_server.keys.importing import parse_keys
from swim_server.keys.opening import open_database
from swim_server.keys.records import Granted
from swim_server.keys.store import KeyStore

from swimctl.client.control import ControlClient


def now() -> datetime:
    return datetime.now(UTC)


def tell(what: str, value: str) -> None:
    print(f"{what:<68} {value}", flush=True)


class Client(asyncio.Protocol):
    """A minimal WebSocket client: sends its key, notes when it was greeted and when it was closed."""

    def __init__(self, host: str, path: str, api_key: str) -> None:
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[float] = loop.create_future()
        self.closed: asyncio.Future[float] = loop.create_future()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {api_key}\r\n\r\n"
        ).encode()
        self._received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.welcomed.done():
            if b"\x88" in data and b"4001" not in data and not self.closed.done():
                self.closed.set_result(time.perf_counter())
            return
        self._received += data
        if b'"type":"connected"' in self._received:
            self.welcomed.set_result(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError("refused"))
        if not self.closed.done():
            self.closed.set_result(time.perf_counter())

    def hang_up(self) -> None:
        assert self.transport is not None
        self.transport.abort()


async def connect_all(url: str, keys: Iterable[str], at_once: int = 100) -> list[Client]:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    assert host is not None and port is not None, f"{url} names no port"
    gate = asyncio.Semaphore(at_once)

    async def one(key: str) -> Client:
        async with gate:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(parts.netloc, parts.path, key), host, port
            )
            await client.welcomed
            return client

    return list(await asyncio.gather(*(one(key) for key in keys)))


async def hang_up_all(clients: list[Client]) -> None:
    for client in clients:
        client.hang_up()
    await asyncio.gather(*(client.closed for client in clients))
    await asyncio.sleep(0.3)


def fill(store: KeyStore, count: int) -> list[str]:
    """Import this many keys of the system tier."""
    keys = [generate(Tier.SYSTEM, token_bytes) for _ in range(count)]
    rows = [{"api_key": key, "owner_name": f"owner {number}"} for number, key in enumerate(keys)]
    import_keys(store, parse_keys(json.dumps(rows)), operating_user(), utc_now(SYSTEM_CLOCK))
    return keys


def open_store(home: Path) -> KeyStore:
    return KeyStore(open_database(DatabaseConfig(), home / "swim.db"), clock=SYSTEM_CLOCK, randbytes=token_bytes)


async def measure_authenticator(store: KeyStore, keys: list[str]) -> None:
    authenticator = Authenticator(store, clock=SYSTEM_CLOCK)
    for name in ("cold", "warm"):
        began = time.perf_counter()
        decisions = [
            authenticator.cached(key, None) if name == "warm" else await authenticator.authenticate(key, None)
            for key in keys
        ]
        seconds = time.perf_counter() - began
        assert all(isinstance(decision, Granted) for decision in decisions)
        tell(
            f"authenticator alone, {len(keys):,} keys one after the other, {name} cache",
            f"{len(keys) / seconds:,.0f}/s",
        )
    began = time.perf_counter()
    fresh = Authenticator(store, clock=SYSTEM_CLOCK)
    await asyncio.gather(*(fresh.authenticate(key, None) for key in keys))
    tell(
        f"authenticator alone, {len(keys):,} keys at once, cold cache",
        f"{len(keys) / (time.perf_counter() - began):,.0f}/s",
    )
    await measure_recheck(fresh, store)


async def measure_recheck(authenticator: Authenticator, store: KeyStore) -> None:
    ids = [record.id for record in store.list()]
    before = authenticator.status().queries
    times = []
    for _ in range(5):
        began = time.perf_counter()
        found = await authenticator.check(ids)
        times.append((time.perf_counter() - began) * 1000)
        assert len(found) == len(ids)
    queries = (authenticator.status().queries - before) / 5
    tell(f"recheck of {len(ids):,} live keys", f"{statistics.median(times):.0f} ms, {queries:g} query")
    held = await longest_hold(lambda: authenticator.check(ids))
    tell("  longest the loop had to wait meanwhile", f"{held * 1000:.0f} ms")


async def longest_hold(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest times for which other tasks on the loop were blocked during something."""
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    task = asyncio.create_task(look())
    await asyncio.sleep(0)
    await work()
    task.cancel()
    return longest


async def measure_connects(installation: Installation, url: str, keys: list[str]) -> None:
    for name in ("cold", "warm"):
        began = time.perf_counter()
        clients = await connect_all(url, keys)
        tell(f"{len(keys):,} connects, a key each, {name} cache", f"{len(keys) / (time.perf_counter() - began):,.0f}/s")
        await hang_up_all(clients)


async def measure_queries(installation: Installation, url: str, keys: list[str], connections: int) -> None:
    before = installation.document("status")["keys"]["queries"]
    clients = await connect_all(url, [keys[number % 10] for number in range(connections)])
    queries = installation.document("status")["keys"]["queries"] - before
    tell(f"database queries for {connections:,} connects with 10 keys", str(queries))
    await hang_up_all(clients)


async def measure_revocation(home: Path, url: str, store: KeyStore, connections: int, runs: int) -> None:
    last, answered = [], []
    daemon = ControlClient.connect(Home(home))
    for _ in range(runs):
        (key,) = fill(store, 1)
        record = store.find(key)
        assert record is not None
        clients = await connect_all(url, [key] * connections)
        began = time.perf_counter()

        def revoke(key_id: int = record.id) -> float:
            store.revoke(key_id, None, operating_user())
            daemon.call("key_changed", {"key_id": key_id})
            returned = time.perf_counter()
            live = daemon.call("connections", {"key_id": key_id})["connections"]
            assert not live, "revoke has returned before it was true"
            return returned

        answered.append(await asyncio.to_thread(revoke) - began)
        last.append(max(await asyncio.gather(*(client.closed for client in clients))) - began)
    daemon.close()
    for name, times in (("revoke until it returns", answered), ("revoke until the last socket has closed", last)):
        text = ", ".join(f"p{percent} {_percentile(times, percent):.0f} ms" for percent in (50, 99))
        tell(f"{name}, {connections:,} connections on one key, {runs} runs", text)


def _percentile(times: list[float], percent: int) -> float:
    return sorted(times)[min(len(times) - 1, len(times) * percent // 100)] * 1000


def measure_command(name: str, command: Callable[[], object]) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        command()
        times.append((time.perf_counter() - began) * 1000)
    tell(name, f"{statistics.median(times):.0f} ms")


async def measure(folder: Path, connections: int, runs: int) -> None:
    installation = Installation(folder / "home")
    (folder / "home").mkdir(mode=0o700)
    store = open_store(installation.home)
    fill(store, 100)
    measure_command("keys list, 100 rows, whole process", lambda: installation.run("keys", "list"))
    with installation.serving() as url:
        keys = fill(store, connections)
        await measure_connects(installation, url, keys)
        await measure_queries(installation, url, fill(store, 10), connections)
        await measure_revocation(installation.home, url, store, connections, runs)
    began = time.perf_counter()
    more = fill(store, 10_000 - len(store.list()))
    tell(f"import of {len(more):,} keys", f"{time.perf_counter() - began:.1f} s")
    measure_command("keys list, 10,000 rows, whole process", lambda: installation.run("keys", "list"))
    measure_command("keys list --json, 10,000 rows, whole process", lambda: installation.run("keys", "list", "--json"))
    await measure_authenticator(store, more[:5_000])
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), options.connections, options.runs))


if __name__ == "__main__":
    main()
