"""Reads all of history while the service runs, to find what was damaged before a client needs it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.history_reader import HistoryReader, Rotten
from swim_server.brokers.trouble import HistoryDamaged, is_damage, unavailable
from swim_server.logs import get_logger

FIRST_SECONDS = 1.0
"""Delay after the start: clients come first."""
PERIOD_SECONDS = 24 * 60 * 60.0
AGAIN_SECONDS = 30.0
"""Delay after a disk problem."""
PIECE_ROWS = 1000
DUTY = 3.0
"""How many times longer it pauses than it reads."""

T = TypeVar("T")
_log = get_logger("broker")


class CheckStatus(msgspec.Struct):
    """How far the check has come."""

    checked_at: float | None = None
    """Unix time at which the last complete check ended."""
    is_running: bool = False
    trouble: str | None = None
    """Why it can't continue at the moment."""
    events: int = 0
    """Events read since the check began."""


class Findings(msgspec.Struct, frozen=True):
    """Callbacks for what is found. Called on the loop."""

    rotten: Callable[[Rotten], Awaitable[None]]
    damaged: Callable[[str, int], Awaitable[None]]
    """Called with the reason, and with the generation of the file."""
    names_rotten: Callable[[], Awaitable[None]]
    types: Callable[[set[str]], Awaitable[None]]
    """Called with every stored type, once all of history was read."""


class BackgroundCheck:
    """One thread that reads history slowly: its structure, then every event, then producers' event ids."""

    def __init__(
        self, path: Path, generation: Callable[[], int], findings: Findings, *, first_seconds: float = FIRST_SECONDS
    ) -> None:
        """Check the file whose ``generation`` is current."""
        self.status = CheckStatus()
        self._generation = generation
        self._path = path
        self._findings = findings
        self._first_seconds = first_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="history-check")
        self._wake = asyncio.Event()
        self._is_suspect = False

    def look_now(self) -> None:
        """Check at once: something that was read seems damaged."""
        self._is_suspect = True
        self._wake.set()

    async def run(self) -> None:
        """Check after the start, once a day, and on request, until cancelled."""
        pause = self._first_seconds
        try:
            while True:
                await self._wait(pause)
                is_urgent, self._is_suspect = self._is_suspect, False
                pause = PERIOD_SECONDS if await self._check(is_urgent) else AGAIN_SECONDS
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _check(self, is_urgent: bool) -> bool:
        self.status.is_running, self.status.events = True, 0
        generation = self._generation()
        try:
            is_checked_at_open = not is_urgent and self.status.checked_at is None
            await self._in_thread(lambda: self._check_structure(is_checked_at_open))
            if not is_urgent:
                await self._check_events()
                await self._check_names()
        except HistoryDamaged as damage:
            await self._findings.damaged(damage.reason, generation)
            return False
        except BrokerUnavailable as error:
            if self.status.trouble != error.reason:
                _log.warning("history can't be checked at the moment", reason=error.reason)
            self.status.trouble = error.reason
            return False
        except Exception:  # noqa: BLE001 - the service goes on; the next check tries again
            _log.exception("checking history failed")
            return False
        finally:
            self.status.is_running = False
        self.status.trouble = None
        self.status.checked_at = time.time()
        return True

    async def _check_events(self) -> None:
        after: int | None = 0
        types: set[str] = set()
        while after is not None:
            started = time.monotonic()
            after, found, rotten = await self._read(partial(HistoryReader.rows, after=after, count=PIECE_ROWS))
            self.status.events += PIECE_ROWS
            types |= found
            if rotten:
                await self._findings.rotten(rotten)
            await asyncio.sleep(DUTY * (time.monotonic() - started))
        await self._findings.types(types)

    async def _check_names(self) -> None:
        after: int | None = 0
        while after is not None:
            started = time.monotonic()
            after, is_right = await self._read(partial(HistoryReader.names, after=after))
            if not is_right:
                await self._findings.names_rotten()
                return
            await asyncio.sleep(DUTY * (time.monotonic() - started))

    async def _read(self, work: Callable[[HistoryReader], T]) -> T:
        def read() -> T:
            reader = HistoryReader(self._path)
            try:
                return work(reader)
            finally:
                reader.close()

        return await self._in_thread(read)

    def _check_structure(self, is_checked_at_open: bool) -> None:
        connection = history_file.connect_read_only(self._path)
        try:
            if is_checked_at_open and history_file.size_of(connection) <= history_file.CHECK_LIMIT_BYTES:
                return
            history_file.verify(connection, self._path)
        finally:
            connection.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return work()
            except sqlite3.Error as error:
                if is_damage(error):
                    raise HistoryDamaged(history_file.damage_of(self._path, error)) from error
                raise unavailable(error, self._path) from error
            except OSError as error:
                raise unavailable(error, self._path) from error

        return await asyncio.get_running_loop().run_in_executor(self._executor, guarded)
