"""One run of a client program: its output line by line, and how it saw the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.client_libraries.catalogue import ClientLibrary

LONGEST_LINE_BYTES = 4 * 1024 * 1024


@dataclass
class RunningClient:
    """A client process; ``end`` ends it in any case."""

    library: ClientLibrary
    process: asyncio.subprocess.Process
    types: list[str] = field(default_factory=list)
    """Of the messages that came, in order."""
    numbers: list[int] = field(default_factory=list)
    """``data.n`` of the events that came."""
    positions: int = 0
    """How many positions came in batches."""
    said: list[dict[str, Any]] = field(default_factory=list)
    """What it said besides messages: open, error, close."""
    garbled: list[bytes] = field(default_factory=list)
    """The beginnings of lines that are no JSON: of a message that it took for another, or was killed while it told."""
    is_over: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, library: ClientLibrary, url: str, subscribe: str, busy_seconds: float) -> RunningClient:
        """Start the program of a prepared library."""
        words, more = library.prepare()
        arguments = [url, subscribe, str(busy_seconds), *([library.mode] if library.mode else [])]
        process = await asyncio.create_subprocess_exec(
            *words, *arguments, env={**os.environ, **more}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LONGEST_LINE_BYTES,
        )  # fmt: skip
        client = cls(library, process)
        client._reading = asyncio.create_task(client._read())
        return client

    @property
    def ending(self) -> dict[str, Any]:
        """The last close that it reported; empty if none."""
        return next((line for line in reversed(self.said) if "close" in line), {})

    @property
    def errors(self) -> list[str]:
        """The errors that it reported."""
        return [str(line["error"]) for line in self.said if "error" in line]

    async def until(self, condition: Callable[[RunningClient], bool], *, seconds: float = 40.0) -> bool:
        """Wait until a condition on its output holds, or it has ended; return whether the condition holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: condition(self) or self.is_over)
        return condition(self)

    async def over(self, *, seconds: float = 20.0) -> bool:
        """Wait until it ends."""
        return await self.until(lambda client: client.is_over, seconds=seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def end(self) -> None:
        """End it if necessary, and wait for it."""
        if self.process.returncode is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        if self._reading is not None:
            await self._reading
        await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        stderr = asyncio.create_task(self.process.stderr.read())
        async for line in self.process.stdout:
            self._take(line)
            async with self._changed:
                self._changed.notify_all()
        complaint = (await stderr).decode(errors="replace").strip()
        if complaint and not self.ending:
            self.said.append({"error": complaint.rpartition("\n")[2]})
        async with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def _take(self, line: bytes) -> None:
        try:
            document = json.loads(line)
        except ValueError:
            self.garbled.append(line[:500])
            return
        message = document.get("message")
        if message is None:
            self.said.append(document)
            return
        self.types.append(message["type"])
        data = message.get("data") or {}
        if "n" in data:
            self.numbers.append(data["n"])
        self.positions += len(data.get("positions", ()))
