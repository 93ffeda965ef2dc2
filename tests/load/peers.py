"""Servers to measure beside: ``python peers.py KIND`` prints its port and takes lines "send FIRST COUNT SIZE".

``broadcast``: the library's asyncio server and its ``broadcast()``, one call an event. ``deflate``: the same with the
library's own compression for each connection. ``bare``: the Sans-I/O protocol in an ``asyncio.Protocol`` and ready
frames, joined, one write a connection: our path without everything around it. ``answering``: reads what its clients
send and answers each message; to one that asks for history it sends that many events.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import resource
import sys
import time
from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol

TEN, NINETEEN = 10**9, 10**18
BATCH_FROM = 10_000
"""Larger events are batches of positions."""
CONNECTED = '{"type":"connected"}'


def batch(sequence: int, flights: int) -> str:
    """Return a batch of positions."""
    rows = [
        {"callsign": f"DAL{random.randrange(9999)}", "flight_uid": random.randrange(2**50),
         "latitude": round(random.uniform(-60, 60), 5), "longitude": round(random.uniform(-180, 180), 5),
         "altitude_ft": random.randrange(41_000), "groundspeed_kts": random.randrange(520),
         "heading_deg": random.randrange(360), "vertical_rate_fpm": random.randrange(-2000, 2000),
         "current_artcc": random.choice(["ZNY", "ZLA", "EGTT", None]), "dep": random.choice(["KJFK", "KLAX", "EGLL"]),
         "arr": random.choice(["KSFO", "LFPG", "RJTT"])}
        for _ in range(flights)
    ]  # fmt: skip
    data = {"count": flights, "positions": rows, "seq": TEN + sequence, "at": NINETEEN + time.monotonic_ns()}
    message = {
        "type": "flight.positions",
        "timestamp": "2026-01-16T14:30:15.123Z",
        "id": "1768573815123-0",
        "data": data,
    }
    return json.dumps(message, separators=(",", ":"))


def event(sequence: int, size: int) -> str:
    """Return one event as the daemon would send it."""
    if size >= BATCH_FROM:
        return batch(sequence, size // 220)
    padding = "x" * max(size - 190, 1)
    data = {"dep": "KJFK", "route": padding, "seq": TEN + sequence, "at": NINETEEN + time.monotonic_ns()}
    message = {"type": "flight.created", "timestamp": "2026-01-16T14:30:15.123Z", "id": "1768573815123-0", "data": data}
    return json.dumps(message, separators=(",", ":"))


class Bare(asyncio.Protocol):
    """The minimum that the protocol allows."""

    def __init__(self, clients: set[Bare]) -> None:
        self._clients = clients
        self._ws = ServerProtocol(logger=logging.getLogger("bare"))

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        self._ws.receive_data(data)
        for received in self._ws.events_received():
            if isinstance(received, Request):
                self._ws.send_response(self._ws.accept(received))
                self._ws.send_text(CONNECTED.encode())
                self._clients.add(self)
        for part in self._ws.data_to_send():
            if part != SEND_EOF:
                self.write(part)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self)


async def read_orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def run(kind: str) -> None:
    bare: set[Bare] = set()
    clients: set[ServerConnection] = set()

    async def serve_one(client: ServerConnection) -> None:
        clients.add(client)
        await client.send(CONNECTED)
        try:
            await client.wait_closed()
        finally:
            clients.discard(client)

    async def answer_one(client: ServerConnection) -> None:
        async for message in client:
            text = message if isinstance(message, str) else ""
            await client.send('{"type":"subscribed"}' if '"subscribe"' in text[:100] else '{"type":"pong"}')
            if '"last"' in text[:200]:
                for number in range(2_000):
                    await client.send(event(number, 262))

    if kind == "answering":
        server: Any = await serve(answer_one, "127.0.0.1", 0, backlog=4096)
    elif kind == "bare":
        server = await asyncio.get_running_loop().create_server(lambda: Bare(bare), "127.0.0.1", 0, backlog=4096)
    else:
        compression = "deflate" if kind == "deflate" else None
        server = await serve(serve_one, "127.0.0.1", 0, compression=compression, ping_interval=None, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = await read_orders()
    while line := await orders.readline():
        _, first, count, size = line.split()
        texts = [event(int(first) + number, int(size)) for number in range(int(count))]
        if kind == "bare":
            joined = b"".join(Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts)
            for client in list(bare):
                client.write(joined)
        else:
            for text in texts:
                broadcast(clients, text)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logging.disable()
    uvloop.run(run(sys.argv[1]))
