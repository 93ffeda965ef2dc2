"""The gateway with its real components but no socket: clock, transport, keys and history are set by the test."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from support.fake_transport import FakeTransport
from support.memory_broker import FIRST_MS, MemoryBroker
from support.virtual_clock import VirtualClock, clock_at
from swim_server.concurrency.tasks import Tasks
from swim_server.concurrency.timer_wheel import TimerWheel
from swim_server.config import ServerConfig
from swim_server.gateway.context import build_context
from swim_server.gateway.endpoint import Endpoint
from swim_server.gateway.rpc import Rpc
from swim_server.keys.format import Tier
from swim_server.keys.probes import Probes
from swim_server.keys.records import Decision, Granted, KeyRecord, Refused
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.streaming.admission import Admission, TierLimit
from swim_server.streaming.conversation import Conversation
from swim_server.streaming.hub import Hub
from websockets.frames import Frame, Opcode

UPGRADE = (
    "Host: swim.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The answer to the key of UPGRADE (RFC 6455, partition 1.3)."""
UNKNOWN = Refused("The key is unknown.", "unknown")
MISSING = Refused("The key is missing.", "missing")
TICK_SECONDS = 0.1


def upgrade_request(target: str = "/?api_key=dev", *headers: str) -> bytes:
    """Return a handshake request as clients send it, with additional headers."""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"GET {target} HTTP/1.1\r\n{UPGRADE}{more}\r\n".encode("latin-1")


def client_frame(payload: bytes | str, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """Build one masked frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    return Frame(opcode, data, fin).serialize(mask=True)


def message(action: str, **fields: Any) -> bytes:
    """Build one action in one masked frame."""
    return client_frame(json.dumps({"action": action, **fields}))


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    payload = code.to_bytes(2, "big") + reason.encode() if code is not None else b""
    return client_frame(payload, Opcode.CLOSE)


def key_record(key_id: int, tier: Tier) -> KeyRecord:
    return KeyRecord(id=key_id, hint=f"swim_{key_id}…", tier=tier, owner_name="somebody")


class FakeAuthenticator:
    """Knows keys by name. ``is_slow``: answers only when the test permits it."""

    def __init__(self) -> None:
        self.keys: dict[str, Decision] = {
            "dev": Granted(key_record(1, Tier.DEVELOPER)),
            "pub": Granted(key_record(2, Tier.PUBLIC)),
            "sys": Granted(key_record(3, Tier.SYSTEM)),
            "": MISSING,
        }
        self.is_slow = False
        self.asked: list[tuple[str, str | None]] = []
        self.touched: list[int] = []
        self.noted: list[tuple[str, str | None]] = []
        self.waiters: deque[tuple[str, asyncio.Future[Decision]]] = deque()
        self.probes = Probes(clock=VirtualClock(), randbytes=os.urandom)

    def cached(self, api_key: str | None, address: str | None) -> Decision | None:
        self.asked.append((api_key or "", address))
        return None if self.is_slow else self.decide(api_key or "")

    def is_remembered(self, api_key: str, address: str | None) -> bool:
        return not self.is_slow and isinstance(self.decide(api_key), Granted)

    async def authenticate(self, api_key: str | None, address: str | None) -> Decision:
        waiter: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self.waiters.append((api_key or "", waiter))
        return await waiter

    def decide(self, api_key: str) -> Decision:
        return self.keys.get(api_key, UNKNOWN)

    def answer_next(self, decision: Decision | None = None) -> None:
        """Answer the oldest pending request."""
        api_key, waiter = self.waiters.popleft()
        if not waiter.done():
            waiter.set_result(decision or self.decide(api_key))

    def touch(self, key_id: int) -> None:
        self.touched.append(key_id)

    def note_refusal(self, refused: Refused, address: str | None) -> None:
        self.noted.append((refused.reason, address))


class Log:
    """Records what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def _keep(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    debug = info = warning = error = exception = _keep

    def bind(self, **fields: object) -> Log:
        return self

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == event]


class Client:
    """One connection to the gateway, from the client's side."""

    def __init__(self, rig: Rig, peer: tuple[Any, ...], *, is_local: bool = False) -> None:
        self.rig = rig
        self.transport = FakeTransport(rig.call_soon, "" if is_local else peer)
        kind = rig.context.local_kind if is_local else rig.context.public_kind
        self.endpoint = Endpoint(rig.context, kind)
        self.transport.connect(self.endpoint)

    def send(self, *parts: bytes) -> Client:
        """Send bytes, each part as a packet of its own."""
        for part in parts:
            self.transport.feed(part)
        self.rig.turn()
        return self

    async def settle(self) -> Client:
        """Let tasks run until they wait."""
        for _ in range(5):
            await asyncio.sleep(0)
            self.rig.turn()
        return self

    @property
    def head(self) -> str:
        """The HTTP response, without its body if it has one."""
        return bytes(self.transport.received).partition(b"\r\n\r\n")[0].decode()

    @property
    def status(self) -> int | None:
        """The HTTP status; None before there is a response."""
        return int(self.head.split(" ")[1]) if self.transport.received else None

    @property
    def body(self) -> bytes:
        return bytes(self.transport.received).partition(b"\r\n\r\n")[2]

    @property
    def frames(self) -> list[tuple[Opcode, bytes]]:
        """All complete frames received."""
        return read_frames(self.body) if self.status == 101 else []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for opcode, payload in self.frames if opcode is Opcode.TEXT]

    @property
    def types(self) -> list[str]:
        """The types of received messages, codes for errors, in order."""
        return [received.get("code") or received["type"] for received in self.messages]

    @property
    def close_code(self) -> int | None:
        """The code of the close frame; None before there is one."""
        payloads = [payload for opcode, payload in self.frames if opcode is Opcode.CLOSE]
        return (int.from_bytes(payloads[0][:2], "big") or 1005) if payloads else None

    @property
    def is_gone(self) -> bool:
        """Whether the server has released the connection."""
        return self.transport.is_lost


def read_frames(data: bytes) -> list[tuple[Opcode, bytes]]:
    """Parse server frames: unmasked, unfragmented, no reserved bit set."""
    frames = []
    while data:
        assert data[0] & 0xF0 == 0x80, "fin, no reserved bits"
        length, begin = data[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin], "big")
        assert len(data) >= begin + length, "a whole frame"
        frames.append((Opcode(data[0] & 0x0F), data[begin : begin + length]))
        data = data[begin + length :]
    return frames


class Rig:
    """Builds the components. ``turn`` is a turn of the loop, ``advance`` lets time pass."""

    def __init__(
        self,
        limits: dict[str, TierLimit] | None = None,
        *,
        authenticator: FakeAuthenticator | None = None,
        **server: Any,
    ) -> None:
        self.clock = clock_at(FIRST_MS)
        self.authenticator = authenticator or FakeAuthenticator()
        self.broker = MemoryBroker()
        self.log = Log()
        self.failures: list[BaseException] = []
        self._soon: deque[Callable[[], None]] = deque()
        catalogue = Catalogue()
        self.hub = Hub(
            catalogue,
            call_soon=self.call_soon,
            clock=self.clock,
            on_failure=self.failures.append,
        )
        self.tasks = Tasks(self.failures.append)
        self.wheel = TimerWheel(self.clock, on_failure=self.failures.append, tick_seconds=TICK_SECONDS)
        self.admission = Admission(
            limits
            or {
                "public": TierLimit(5),
                "developer": TierLimit(50),
                "partner": TierLimit(500),
                "system": TierLimit(10_000),
            }
        )
        config = ServerConfig(**server)
        self.rpc = Rpc(self.failures.append)
        self.context = build_context(
            config,
            hub=self.hub,
            admission=self.admission,
            authenticator=self.authenticator,  # type: ignore[arg-type]  # only what the gateway calls
            conversation=Conversation(
                self.hub,
                self.broker,
                self.tasks,
                clock=self.clock,
                heartbeat_seconds=config.heartbeat_seconds,
            ),
            wheel=self.wheel,
            tasks=self.tasks,
            rpc=self.rpc,
            source_ages=dict,
            call_soon=self.call_soon,
            clock=self.clock,
            log=self.log,
        )
        self.gateway = self.context.gateway
        self.refusals = self.context.refusals

    async def open(self) -> Rig:
        await self.broker.open(self.hub.deliver)
        return self

    async def close(self) -> None:
        """End what is left; no task may have failed unnoticed."""
        await self.tasks.close()
        for peer in list(self.gateway.peers):
            peer.abort()
        self.turn()
        assert not self.gateway.peers
        assert not self.hub.connections
        assert not self.hub.groups
        assert all(self.admission.current(tier) == 0 for tier in self.admission.limits)
        assert self.failures == []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> None:
        """Run what was deferred to the loop's next turns."""
        while self._soon:
            self._soon.popleft()()

    def advance(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            self.clock.seconds = min(self.clock.seconds + TICK_SECONDS, end)
            self.wheel.advance()
            self.turn()

    def client(self, peer: tuple[Any, ...] = ("192.0.2.7", 50_000)) -> Client:
        """Open a TCP connection that has sent nothing yet."""
        return Client(self, peer)

    def local_client(self) -> Client:
        """Open an upgraded connection to the control socket."""
        return Client(self, (), is_local=True).send(upgrade_request("/api/swim/v1/ws"))

    def admitted(self, key: str = "dev") -> Client:
        """Connect a client that is admitted."""
        return self.client().send(upgrade_request(f"/?api_key={key}"))

    async def publish(self, *types: str, **data: Any) -> None:
        await self.broker.publish([NewEvent(type=type, data=data) for type in types])
        self.turn()
