"""An adapter: a program in any language that makes one SDK do what it is told, over JSON lines; it expects nothing."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from swim_conformance.patterns import matches

if TYPE_CHECKING:
    from typing import Self

READY_SECONDS = 300.0
END_SECONDS = 30.0
LINE_BYTES = 16 * 2**20


class AdapterFailed(Exception):
    """The adapter's program exited, or wrote something that is not a report."""


class Adapter:
    """One process that runs the clients of all scenarios concurrently, each under its own name."""

    def __init__(self, words: Sequence[str], *, environ: Mapping[str, str] | None = None, folder: Path | None = None):
        self.name = ""
        self.version = ""
        self.can: frozenset[str] = frozenset()
        """Optional abilities that it declares."""
        self._words = list(words)
        self._environ = {**os.environ, **(environ or {})}
        self._folder = folder
        self._reports: dict[str, list[dict[str, Any]]] = {}
        self._notices: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._news = asyncio.Condition()
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._failure: str | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._environ, cwd=self._folder, limit=LINE_BYTES
        )
        self._reading = asyncio.create_task(self._read(self._process))
        try:
            ready = await self.seen("", {"saw": "ready"}, seconds=READY_SECONDS)
        except BaseException:
            await self._end(self._process, self._reading)
            raise
        self.name, self.version, self.can = ready["name"], str(ready.get("version", "")), frozenset(ready["can"])
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None and self._reading is not None, "__aenter__ comes first"
        await self._end(self._process, self._reading)

    async def _end(self, process: Process, reading: asyncio.Task[None]) -> None:
        """Close its standard input, and kill it if it does not exit."""
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None, "__aenter__ comes first"
        return self._process.pid

    def on_report(self, client: str, notice: Callable[[dict[str, Any]], None]) -> None:
        """Register a callback for each report of a client."""
        self._notices[client] = notice

    def reports(self, client: str) -> list[dict[str, Any]]:
        """Return all reports of a client, in order."""
        return self._reports.setdefault(client, [])

    async def tell(self, client: str, command: Mapping[str, Any]) -> None:
        """Send a command to a client. Returns at once."""
        assert self._process is not None and self._process.stdin is not None, "__aenter__ comes first"
        if self._failure is not None:
            raise AdapterFailed(self._failure)
        self._process.stdin.write(json.dumps({"client": client, **command}).encode() + b"\n")
        await self._process.stdin.drain()

    async def seen(
        self,
        client: str,
        pattern: Mapping[str, Any],
        *,
        count: int = 1,
        seconds: float = 20.0,
        ids: Mapping[int, str] | None = None,
    ) -> dict[str, Any]:
        """Wait until this many reports match a pattern; return the last of them. Raises TimeoutError, AdapterFailed."""
        async with asyncio.timeout(seconds), self._news:
            while True:
                found = [one for one in self.reports(client) if matches(pattern, one, ids or {})]
                if len(found) >= count:
                    return found[count - 1]
                if self._failure is not None:
                    raise AdapterFailed(self._failure)
                await self._news.wait()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None and process.stderr is not None, "both are pipes"
        errors = asyncio.create_task(self._tail(process.stderr))
        async for line in process.stdout:
            try:
                report = json.loads(line)
                self._reports.setdefault(report.get("client", ""), []).append(report)
                assert "saw" in report
                if report.get("client") in self._notices:
                    self._notices[report["client"]](report)
            except (ValueError, AttributeError, AssertionError):
                self._failure = f"{self._words[0]} wrote what is no report: {line[:200]!r}"
            async with self._news:
                self._news.notify_all()
        tail = await errors
        code = await process.wait()
        self._failure = self._failure or f"{' '.join(self._words)[:120]} ended with {code}: {tail[-300:]}"
        async with self._news:
            self._news.notify_all()

    async def _tail(self, stream: asyncio.StreamReader) -> str:
        kept = b""
        while data := await stream.read(65_536):
            kept = (kept + data)[-20_000:]
        return kept.decode(errors="replace")
