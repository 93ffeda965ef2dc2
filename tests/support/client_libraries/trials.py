"""The trials of each client library: a real daemon for each trial, all libraries at once."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from support.client_libraries.catalogue import ClientLibrary
from support.client_libraries.handshakes import HandshakeRelay
from support.client_libraries.running_client import RunningClient
from support.live_daemon import LiveDaemon, live_daemon

SUBSCRIBE = json.dumps({"action": "subscribe", "channels": ["flight.*"]})
HEARTBEAT_SECONDS = 30.0
BUSY_HEARTBEAT_SECONDS = 2.0
BUSY_SECONDS = 10.0
"""Twice as long as the service then waits for the answer to a ping."""
POSITIONS = 280
SIZES = [size for power in range(12, 16) for size in (2**power, 2**power + 1)]
"""Of whole messages, in bytes: 4 KiB to 32 KiB, each exact and by one byte more."""
LARGEST_BYTES = 65_500
"""About the largest message that the service sends."""

CONFIG = f"""
[server]
heartbeat_seconds = {HEARTBEAT_SECONDS}
max_buffer_bytes = 65536
[database]
query_timeout_seconds = 1.0
[tiers.public]
connections = 1
"""


@dataclass
class Ending:
    """How a library showed the end of a connection."""

    close: int | None
    """The code that it showed; None when it showed none."""
    reason: str | None
    errors: list[str]
    is_shown: bool = True
    """False when the program saw nothing and stayed."""

    @classmethod
    def of(cls, client: RunningClient) -> Ending:
        """Return how a finished client showed the end."""
        return cls(client.ending.get("close"), client.ending.get("reason"), client.errors, client.is_over)


@dataclass
class Findings:
    """Everything known about one library after the trials."""

    is_compressed: bool | None = None
    """None: it could not connect."""
    has_received_all: bool = False
    """Small events, a batch of 280 positions, in order, nothing twice."""
    limit_bytes: int | None = None
    """The largest message it takes by default, when that is less than the service ever sends."""
    stays_while_busy: bool = False
    endings: dict[str, Ending] = field(default_factory=dict)
    """By trial."""
    garbled: list[bytes] = field(default_factory=list)
    """What it handed over that is not what was sent."""


class Trials:
    """Each public method is one trial; all add to the same findings."""

    def __init__(self, folder: Path, libraries: Sequence[ClientLibrary]) -> None:
        self._folder = folder
        self._libraries = libraries
        self.findings = {library: Findings() for library in libraries}

    async def session(self) -> None:
        """Connect, subscribe, receive small events and a batch of positions, then leave.

        A library that can't even connect takes part in no other trial.
        """
        with self._daemon("session") as daemon:
            async with (
                HandshakeRelay.listening(daemon.port) as relay,
                self._clients(daemon, port=relay.port) as clients,
            ):
                rows = [_position(number) for number in range(POSITIONS)]
                daemon.put(
                    ("flight.departed", {"n": 1, "callsign": "BAW1", "note": 'Zürich ✈ \u2028 "quoted"'}),
                    ("flight.positions", {"n": 2, "count": len(rows), "positions": rows}),
                    ("flight.arrived", {"n": 3, "callsign": "BAW1"}),
                )
                await _all(clients, lambda client: client.numbers[-1:] == [3] and client.positions == POSITIONS)
                daemon.put(("flight.updated", {"n": 4, "do": "bye"}))
                await self._ended("1000", clients, seconds=8)
                for client in clients:
                    found = self.findings[client.library]
                    agreed = relay.accepted.get(client.library.slug) or ""
                    found.is_compressed = (
                        None if "subscribed" not in client.types else "permessage-deflate" in (agreed or "")
                    )
                    found.has_received_all = client.numbers == [1, 2, 3, 4] and client.positions == POSITIONS
        self._libraries = [one for one in self._libraries if self.findings[one].is_compressed is not None]

    async def sizes(self) -> None:
        """Receive larger and larger messages."""
        with self._daemon("sizes", max_buffer_bytes=8 * 1024 * 1024) as daemon:
            async with self._clients(daemon) as clients:
                for size in [*SIZES, LARGEST_BYTES]:
                    daemon.put(("flight.updated", _sized(size)))
                    await _all(clients, lambda client, size=size: size in client.numbers, seconds=10)  # type: ignore[misc]  # mypy takes a default of a lambda for no type
                for client in clients:
                    if LARGEST_BYTES not in client.numbers:
                        self.findings[client.library].limit_bytes = max(client.numbers, default=0)
                        await client.over(seconds=2)
                        self.findings[client.library].endings["too large"] = Ending.of(client)

    async def busy(self) -> None:
        """Block in an event handler for longer than the service waits for a pong."""
        with self._daemon("busy", heartbeat_seconds=BUSY_HEARTBEAT_SECONDS) as daemon:
            async with self._clients(daemon) as clients:
                daemon.put(("flight.updated", {"n": 1, "do": "busy"}))
                await asyncio.sleep(BUSY_SECONDS + BUSY_HEARTBEAT_SECONDS)
                daemon.put(("flight.updated", {"n": 2}))
                await _all(clients, lambda client: 2 in client.numbers, seconds=5)
                for client in clients:
                    self.findings[client.library].stays_while_busy = 2 in client.numbers
                await self._ended("busy", [client for client in clients if 2 not in client.numbers], seconds=5)

    async def flood(self) -> None:
        """Send a message beyond 1 MiB: 1009."""
        with self._daemon("flood") as daemon:
            async with self._clients(daemon) as clients:
                daemon.put(("flight.updated", {"n": 1, "do": "flood"}))
                await self._ended("1009", clients)

    async def revoked(self) -> None:
        """Revoke the key: 4001."""
        with self._daemon("revoked") as daemon:
            key = daemon.make_key("system")
            async with self._clients(daemon, key=key.api_key) as clients:
                done = await asyncio.to_thread(daemon.swimctl, "keys", "expire", str(key.record.id), check=True)
                assert done.returncode == 0
                await self._ended("4001", clients)

    async def full(self) -> None:
        """Fill the tier: 4002."""
        with self._daemon("full") as daemon:
            key = daemon.api_key("public")
            holder = await self._start(self._libraries[0], daemon.port, key)
            try:
                assert await holder.until(lambda client: "subscribed" in client.types)
                async with self._clients(daemon, key=key, wait_for="error") as clients:
                    await self._ended("4002", clients)
            finally:
                await holder.end()

    async def slow(self) -> None:
        """Stop reading until the service gives up: 4008."""
        with self._daemon("slow", heartbeat_seconds=60) as daemon:
            async with self._clients(daemon) as clients:
                for client in clients:
                    client.signal(signal.SIGSTOP)
                await self._fill(daemon)
                for client in clients:
                    client.signal(signal.SIGCONT)
                await self._ended("4008", clients)

    async def unavailable(self) -> None:
        """Make keys uncheckable: 1013."""
        with self._daemon("unavailable") as daemon:
            keys = [daemon.api_key("system") for _ in self._libraries]
            with closing(sqlite3.connect(daemon.home / "swim.db", isolation_level=None)) as locker:
                locker.execute("BEGIN EXCLUSIVE")
                async with self._clients(daemon, key=keys, wait_for="error") as clients:
                    await self._ended("1013", clients)

    async def restart(self) -> None:
        """Restart the service: 1012, with a reason."""
        with self._daemon("restart") as daemon:
            async with self._clients(daemon) as clients:
                await asyncio.to_thread(daemon.call, "restart")
                await self._ended("1012", clients)

    async def cut(self) -> None:
        """Kill the service: no close frame at all."""
        with self._daemon("cut") as daemon:
            async with self._clients(daemon) as clients:
                await asyncio.to_thread(daemon.kill)
                await self._ended("cut", clients)

    @property
    def all(self) -> list[Callable[[], Any]]:
        """Run every trial."""
        return [
            self.session, self.sizes, self.busy, self.flood, self.revoked, self.full, self.slow, self.unavailable,
            self.restart, self.cut,
        ]  # fmt: skip

    # What the trials stand on.

    def _daemon(self, name: str, **server: float) -> Any:
        config = CONFIG
        for setting, value in server.items():
            lines = [line for line in config.splitlines() if not line.startswith(f"{setting} =")]
            lines.insert(lines.index("[server]") + 1, f"{setting} = {value}")
            config = "\n".join(lines)
        return live_daemon(self._folder / name, config=config)

    async def _start(self, library: ClientLibrary, port: int, key: str) -> RunningClient:
        url = f"ws://127.0.0.1:{port}/api/swim/v1/ws?api_key={key}&client={library.slug}"
        return await RunningClient.start(library, url, SUBSCRIBE, BUSY_SECONDS)

    @asynccontextmanager
    async def _clients(
        self, daemon: LiveDaemon, *, port: int = 0, key: str | Sequence[str] = "", wait_for: str = "subscribed"
    ) -> AsyncIterator[list[RunningClient]]:
        """Start all libraries and wait until they are subscribed; those that can't subscribe are finished."""
        keys = [key or daemon.api_key("system")] * len(self._libraries) if isinstance(key, str) else key
        clients: list[RunningClient] = []
        try:
            for library, one in zip(self._libraries, keys, strict=True):
                clients.append(await self._start(library, port or daemon.port, one))
            await _all(clients, lambda client: wait_for in client.types)
            yield clients
        finally:
            for client in clients:
                await client.end()

    async def _ended(self, trial: str, clients: Sequence[RunningClient], *, seconds: float = 20.0) -> None:
        await asyncio.gather(*(client.over(seconds=seconds) for client in clients))
        for client in clients:
            self.findings[client.library].endings[trial] = Ending.of(client)
            self.findings[client.library].garbled += client.garbled

    async def _fill(self, daemon: LiveDaemon) -> None:
        """Publish until the service has given up on every client that doesn't read."""
        random = Random(4008)
        rows = [("flight.updated", {"callsign": "BAW1", "route": random.randbytes(2000).hex()}) for _ in range(250)]
        for _ in range(200):
            await asyncio.to_thread(daemon.put, *rows)
            if not any(daemon.counted().values()):
                return
        raise AssertionError("the service never gave up its slow clients")


async def _all(
    clients: Sequence[RunningClient], condition: Callable[[RunningClient], bool], *, seconds: float = 40.0
) -> None:
    await asyncio.gather(*(client.until(condition, seconds=seconds) for client in clients))


def _position(number: int) -> Mapping[str, Any]:
    return {
        "callsign": f"BAW{number}", "flight_uid": 7_000_000_000_000 + number, "latitude": 51.477501,
        "longitude": -0.461391, "altitude_ft": 36_000, "groundspeed_kts": 451, "heading_deg": number,
        "vertical_rate_fpm": -1200, "current_artcc": "EGTT", "dep": "EGLL", "arr": "KJFK",
    }  # fmt: skip


def _sized(size: int) -> Mapping[str, Any]:
    """Return event data that makes the whole message this long: ids and times have constant length here."""
    frame = len('{"id":"1796000000000-0","type":"flight.updated","timestamp":"2026-11-27T09:33:14.832Z","data":}')
    data = {"n": size, "pad": ""}
    return {**data, "pad": "x" * (size - frame - len(json.dumps(data, separators=(",", ":"))))}
