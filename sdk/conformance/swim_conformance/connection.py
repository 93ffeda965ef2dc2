"""One connection attempt at a scripted server: plays its steps while the client's requests are answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Protocol

from websockets.http11 import Request

from swim_conformance.answers import Answers, error
from swim_conformance.history import DEFAULT_TYPE, TIMESTAMP, History, Message
from swim_conformance.script import BEFORE_UPGRADE, Script, Step, step_name
from swim_conformance.socket_stream import SocketStream

AWAIT_SECONDS = 15.0
KEY_HEADERS = ("x-swim-api-key", "x-api-key", "authorization")


class Host(Protocol):
    """What a connection needs from its server."""

    script: Script
    history: History
    order: asyncio.Lock

    def next_number(self) -> int: ...

    def note(self, what: str, connection: int | None, **more: Any) -> None: ...

    def signal(self, name: str) -> None: ...

    async def signalled(self, name: str, seconds: float = ...) -> None: ...

    async def publish(self, event_type: str, data: dict[str, Any] | None = None) -> dict[str, Any]: ...

    async def go_away(self, seconds: float) -> None: ...


class Connection:
    """Lives from the attempt to its end. Numbered from 1, in the order in which upgrades are requested."""

    def __init__(self, server: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._number = 0
        self._stream = SocketStream(reader, writer, is_compressed=server.script.compression)
        self._answers = Answers(server.history, 0, resumes=server.script.resume)
        self._answered: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._has_ended = False
        self._steps: list[Step] = []

    @property
    def channels(self) -> list[str]:
        """The client's subscriptions; empty once the connection has ended."""
        return [] if self._has_ended else self._answers.channels

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self._stream.cut()

    async def send(self, message: Message) -> None:
        """Send any message."""
        await self._stream.send(json.dumps(message))

    async def run(self) -> None:
        """Play the steps and serve until the connection ends."""
        request = await self._stream.request()
        if request is None:
            # Some libraries open a line ahead and never use it: no attempt.
            self._has_ended = True
            self._stream.cut()
            return
        self._begin()
        try:
            if not await self._open(request):
                return
            serving = asyncio.ensure_future(self._serve())
            playing = asyncio.ensure_future(self._play())
            try:
                await serving
            finally:
                serving.cancel()
                self._has_ended = True
                self._news.set()
                await self._finish(playing)
        finally:
            self._has_ended = True
            self._stream.cut()
            self._server.note("closed", self._number, code=self._stream.close_code)

    def _begin(self) -> None:
        script = self._server.script
        self._number = self._server.next_number()
        self._steps = list(script.connections[self._number - 1]) if self._number <= len(script.connections) else []
        self._answers = Answers(self._server.history, self._number, resumes=script.resume)
        self._server.note("attempt", self._number, address=self._stream.local_port)

    async def _finish(self, playing: asyncio.Future[None]) -> None:
        """Play the steps that continue after the connection's end, such as ``store`` or ``away``."""
        try:
            await playing
        finally:
            playing.cancel()

    async def _open(self, request: Request) -> bool:
        first = self._steps[0] if self._steps else {}
        name = step_name(first)
        if name == "drop":
            return False
        headers = {key.lower(): value for key, value in request.headers.raw_items()}
        key = next((headers[name] for name in KEY_HEADERS if name in headers), None)
        self._server.note("asked", self._number, path=request.path, has_key_header=key is not None)
        if name == "ignore":
            async for _ in self._stream.messages():
                pass
            return False
        if name == "refuse":
            self._server.note("sent away", self._number, status=int(first["refuse"]))
            await self._stream.refuse(int(first["refuse"]), first.get("headers", {}), first.get("body", ""))
            return False
        await self._stream.accept(request)
        self._server.note("upgraded", self._number)
        if not any("greet" in step for step in self._steps):
            await self.send(self._answers.greeting())
        return True

    async def _serve(self) -> None:
        async for text in self._stream.messages():
            try:
                request = json.loads(text)
            except ValueError:
                request = None
            if not isinstance(request, dict):
                self._server.note("failure", self._number, text=f"the client sent no JSON object: {text[:80]!r}")
                continue
            self._server.note("received", self._number, message=request)
            async with self._server.order:
                for message in self._answers.to(request):
                    await self.send(message)
            self._answered[str(request.get("action"))] += 1
            self._news.set()
        self._news.set()

    async def _play(self) -> None:
        for step in self._steps:
            name = step_name(step)
            assert name is not None, "the script was checked when it was read"
            if name not in BEFORE_UPGRADE:
                await getattr(self, f"_step_{name}")(step)

    # The steps, by name.

    async def _step_greet(self, step: Step) -> None:
        if step["greet"] is not False:
            extra = step["greet"] if isinstance(step["greet"], dict) else {}
            await self.send(self._answers.greeting(extra))

    async def _step_on(self, step: Step) -> None:
        self._answers.override(step["on"], step)

    async def _step_await(self, step: Step) -> None:
        what, count = step["await"], int(step.get("count", 1))
        try:
            async with asyncio.timeout(float(step.get("within", AWAIT_SECONDS))):
                while not self._has_come(what, count):
                    if self._has_ended and what != "close":
                        return
                    self._news.clear()
                    # Pongs make no news: look again soon.
                    await asyncio.wait({asyncio.ensure_future(self._news.wait())}, timeout=0.02)
        except TimeoutError:
            if not self._has_ended:
                self._server.note("failure", self._number, text=f"no {what} came")

    def _has_come(self, what: str, count: int) -> bool:
        if what == "pong":
            return self._stream.pongs >= count
        if what == "close":
            return self._has_ended
        return self._answered[what] >= count

    async def _step_publish(self, step: Step) -> None:
        count = step["publish"] if isinstance(step["publish"], int) and step["publish"] is not True else 1
        for _ in range(count):
            if "chunks" in step:
                await self._publish_in_chunks(step)
            else:
                await self._server.publish(step.get("type", DEFAULT_TYPE), step.get("data"))

    async def _publish_in_chunks(self, step: Step) -> None:
        async with self._server.order:
            event = self._server.history.add(step.get("type", DEFAULT_TYPE), step.get("data"))
            text = json.dumps(self._server.history.shown(event))
            await self._stream.send_in_chunks(text, int(step["chunks"]), float(step.get("pause", 0.01)))

    async def _step_store(self, step: Step) -> None:
        for _ in range(int(step["store"])):
            self._server.history.add(step.get("type", DEFAULT_TYPE), step.get("data"))

    async def _step_state(self, step: Step) -> None:
        self._server.history.flights = list(step["state"])

    async def _step_repeat(self, step: Step) -> None:
        for event in self._server.history.events[-int(step["repeat"]) :]:
            await self.send(event)

    async def _step_forget(self, step: Step) -> None:
        self._server.history.forget()

    async def _step_epoch(self, step: Step) -> None:
        self._server.history.begin_epoch(step["epoch"], int(step.get("first_ms", 1000)))

    async def _step_heartbeat(self, step: Step) -> None:
        data: dict[str, Any] = {"connected_clients": 1, "uptime_seconds": 30}
        if self._server.history.has_ids:
            data["last_event_id"] = self._server.history.newest_id
        await self.send({"type": "system.heartbeat", "timestamp": TIMESTAMP, "data": data})

    async def _step_send(self, step: Step) -> None:
        await self.send(step["send"])

    async def _step_send_text(self, step: Step) -> None:
        await self._stream.send(step["send_text"])

    async def _step_send_binary(self, step: Step) -> None:
        await self._stream.send_binary(bytes.fromhex(step["send_binary"]))

    async def _step_error(self, step: Step) -> None:
        await self.send(error(step["error"], step.get("message", ""), step.get("data")))

    async def _step_ping(self, step: Step) -> None:
        for _ in range(int(step["ping"])):
            await self._stream.ping()

    async def _step_close(self, step: Step) -> None:
        self._server.note("sent away", self._number, code=int(step["close"]))
        await self._stream.close(int(step["close"]), step.get("reason", ""))

    async def _step_cut(self, step: Step) -> None:
        self._server.note("sent away", self._number)
        if step["cut"] == "mid_frame":
            event = self._server.history.add()
            await self._stream.cut_in_frame(json.dumps(self._server.history.shown(event)))
        else:
            self._stream.cut()

    async def _step_freeze(self, step: Step) -> None:
        self._stream.is_frozen = True

    async def _step_away(self, step: Step) -> None:
        await self._server.go_away(float(step["away"]))

    async def _step_sleep(self, step: Step) -> None:
        await asyncio.sleep(float(step["sleep"]))

    async def _step_until(self, step: Step) -> None:
        try:
            await self._server.signalled(step["until"])
        except TimeoutError:
            self._server.note("failure", self._number, text=f"the signal {step['until']!r} never came")

    async def _step_signal(self, step: Step) -> None:
        self._server.signal(step["signal"])
