"""Kinds of floods, and the process that sends one: raw bytes from asyncio streams, each connection opened again when
it is closed.

    python -m support.floods KIND PORT CLIENTS SECONDS    # the key on standard input

Prints what it has sent, as JSON. Its clients come from an address of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import zlib
from collections import Counter
from dataclasses import dataclass

ADDRESS = "127.0.0.3"
TEXT, BINARY, CONTINUED, PING = 1, 2, 0, 9
COMPRESSED = 0x40
RETRY_SECONDS = 0.02
HEAD = (
    "GET /api/swim/v1/ws HTTP/1.1\r\nHost: swim.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, flags: int = 0) -> bytes:
    """Build a client frame; its mask is zero, so that the payload is unchanged."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return bytes([(0x80 if fin else 0) | flags | opcode]) + length + b"\0\0\0\0" + payload


def deflated(payload: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def action(name: str, **fields: object) -> bytes:
    return frame(TEXT, json.dumps({"action": name, **fields}).encode())


LOOK_BACK = action("subscribe", channels=["tmi.*"], filters={"airports": ["ZZZZ"]}, since="2020-01-01T00:00:00Z")
"""Everything stored is looked through, and nothing of it matches."""


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What one connection of a flood does."""

    title: str
    opening: bytes = b""
    """Sent once, after the upgrade."""
    chunk: bytes = b""
    """Sent again and again; empty: it stays silent."""
    pause_seconds: float = 0.0
    """Between two chunks."""
    connections_per_client: int = 1
    upgrades: bool = True
    head: bytes = b""
    """Instead of an upgrade."""
    has_good_key: bool = True
    reads: bool = True
    compresses: bool = False
    history: int = 2_000
    """Events that the service has stored before."""


FLOODS = {
    "small-pings": Flood(title="pings without payload, 10,000 in 60 KB", chunk=frame(PING) * 10_000),
    "large-pings": Flood(title="pings of 125 bytes", chunk=frame(PING, b"p" * 125) * 500),
    "bombs": Flood(
        title="compressed messages of 1 KB that inflate to 1 MB",
        chunk=frame(TEXT, deflated(b'"' + b"x" * 1_000_000 + b'"'), flags=COMPRESSED) * 8,
        compresses=True,
    ),
    "tiny-messages": Flood(title="messages of two bytes", chunk=frame(TEXT, b"{}") * 8_000),
    "empty-fragments": Flood(
        title="one message in endless empty fragments",
        opening=frame(TEXT, b"{", fin=False),
        chunk=frame(CONTINUED, fin=False) * 8_000,
    ),
    "held-fragments": Flood(
        title="messages in fragments of 1 KB, never finished",
        opening=frame(TEXT, b"{", fin=False),
        chunk=frame(CONTINUED, b"x" * 1024, fin=False) * 64,
    ),
    "large-messages": Flood(title="messages of 1,000,000 bytes", chunk=frame(TEXT, b"x" * 1_000_000)),
    "bad-utf8": Flood(title="text that is no UTF-8", chunk=frame(TEXT, b'{"action":"\xff\xfe"}') * 2_000),
    "bad-json": Flood(title="text that is no JSON", chunk=frame(TEXT, b"{{{{{{{{") * 4_000),
    "binary": Flood(title="binary messages of 1 KB", chunk=frame(BINARY, b"\0" * 1024) * 64),
    "subscribe-storm": Flood(
        title="subscriptions with filters, without a pause",
        chunk=action("subscribe", channels=["flight.*"], filters={"airports": ["KJFK", "EGLL"]}) * 400,
    ),
    "wide-filters": Flood(
        title="subscriptions with a thousand unknown airports, centres and callsigns each, within the rate of messages",
        chunk=action(
            "subscribe",
            channels=["flight.*"],
            filters={
                kind: [f"{first}{number:03}" for number in range(1_000)]
                for kind, first in (("airports", "Q"), ("artccs", "Z"), ("callsign_prefix", "X"))
            },
        )
        * 10,
        pause_seconds=1.0,
    ),
    "explains": Flood(
        title="questions of 60 KB that wait behind looks into history, within the rate of messages",
        chunk=LOOK_BACK + action("explain", event={"type": "tmi.issued", "data": {"reason": "x" * 60_000}}) * 9,
        pause_seconds=1.0,
        history=100_000,
    ),
    "slow-readers": Flood(
        title="clients that ask for history and read nothing",
        chunk=action("subscribe", channels=["*"], last=2_000),
        pause_seconds=0.1,
        reads=False,
    ),
    "bad-keys": Flood(title="connections with a bad key, again and again", has_good_key=False),
    "unfinished-heads": Flood(
        title="requests whose head never ends, eight a client",
        head=b"GET / HTTP/1.1\r\n",
        chunk=(b"X-Filler: " + b"a" * 4_000 + b"\r\n") * 16,
        upgrades=False,
        connections_per_client=8,
    ),
    "idle-connections": Flood(
        title="connections without a word, twenty a client", upgrades=False, connections_per_client=20
    ),
    "half-heads": Flood(
        title="connections with half a head, twenty a client",
        head=HEAD.encode(),
        upgrades=False,
        connections_per_client=20,
    ),
}


class Flooder:
    """Sends one kind of flood to one port."""

    def __init__(self, flood: Flood, port: int, key: str) -> None:
        self._flood = flood
        self._port = port
        self._key = key
        self._bad_keys = 0
        self.sent_bytes = 0
        self.connections = 0
        self.answers: Counter[str] = Counter()
        """Status of refused upgrades, codes of close frames."""

    async def run(self, clients: int, seconds: float) -> None:
        tasks = [asyncio.create_task(self._one_client()) for _ in range(clients * self._flood.connections_per_client)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one_client(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._one_connection()
            await asyncio.sleep(RETRY_SECONDS)

    async def _one_connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(ADDRESS, 0))
        self.connections += 1
        try:
            writer.write(self._flood.head or (self._upgrade() if self._flood.upgrades else b""))
            if self._flood.upgrades:
                status = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
                if status != "101":
                    self.answers[status] += 1
                    return
            writer.write(self._flood.opening)
            await self._exchange(reader, writer)
        finally:
            writer.transport.abort()

    def _upgrade(self) -> bytes:
        self._bad_keys += 1
        key = self._key if self._flood.has_good_key else f"swim_pub_{self._bad_keys:040d}"
        extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if self._flood.compresses else ""
        return f"{HEAD}Authorization: Bearer {key}\r\n{extension}\r\n".encode()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        jobs = [asyncio.create_task(self._send(writer))]
        if self._flood.reads:
            jobs.append(asyncio.create_task(self._read(reader)))
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while True:
            if not self._flood.chunk:
                await asyncio.sleep(3600)
            writer.write(self._flood.chunk)
            await writer.drain()
            self.sent_bytes += len(self._flood.chunk)
            await asyncio.sleep(self._flood.pause_seconds)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        last = b""
        while data := await reader.read(262_144):
            last = (last + data)[-256:]
        place = last.rfind(b"\x88")
        if place >= 0 and len(last) >= place + 4:
            self.answers[str(int.from_bytes(last[place + 2 : place + 4], "big"))] += 1


async def main() -> None:
    kind, port, clients, seconds = sys.argv[1:5]
    flooder = Flooder(FLOODS[kind], int(port), sys.stdin.readline().strip())
    began = time.monotonic()
    await flooder.run(int(clients), float(seconds))
    print(
        json.dumps(
            {
                "sent_bytes": flooder.sent_bytes,
                "connections": flooder.connections,
                "answers": dict(flooder.answers),
                "seconds": round(time.monotonic() - began, 2),
            }
        )
    )


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
