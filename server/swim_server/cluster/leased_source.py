"""A source that one node runs for all: on the node with its lease, and elsewhere if that node fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from swim_server.brokers.broker import BrokerUnavailable, Publish, Published
from swim_server.brokers.redis_stream.broker import RedisBroker
from swim_server.brokers.redis_stream.commits import Fence
from swim_server.brokers.redis_stream.errors import Fenced
from swim_server.cluster.line import Line
from swim_server.cluster.membership import LEASE_SECONDS
from swim_server.cluster.scripts import LEASE, RELEASE, STORE_SOURCE_STATE
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.files.opening import open_to_read
from swim_server.files.replacing import replace_durably
from swim_server.logs import get_logger
from swim_server.protocol.events import NewEvent
from swim_server.sources.source import Source, SourceStatus

RENEW_SECONDS = 2.0
GIVE_UP_SECONDS = LEASE_SECONDS - RENEW_SECONDS
"""A holder that can't renew stops this long after its last renewal, before another node may begin."""

_log = get_logger("cluster")


class StateFiles:
    """The files in which a source keeps its state, which share a prefix. Blocks."""

    def __init__(self, folder: Path, beginning: str) -> None:
        self._folder = folder
        self._beginning = beginning

    def read(self) -> dict[str, bytes]:
        """Return the files by name."""
        found: dict[str, bytes] = {}
        for path in sorted(self._folder.glob(f"{self._beginning}.*")):
            if ".broken" not in path.name:
                with contextlib.suppress(OSError), open_to_read(path) as file:
                    found[path.name] = file.read()
        return found

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Write the files of another node."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if name.startswith(f"{self._beginning}.") and "/" not in name:
                replace_durably(self._folder / name, content)


class LeasedSource:
    """Runs a source while this node holds its lease. The state goes to the next holder through the server."""

    def __init__(
        self, source: Source, state: StateFiles, broker: RedisBroker, line: Line, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.status: SourceStatus = source.status
        self.is_held = False
        self._source = source
        self._state = state
        self._broker = broker
        self._line = line
        self._clock = clock
        self._name = source.status.name
        self._holder = broker.node
        self._saved: dict[str, bytes] = {}
        """The state as stored on the server."""

    async def run(self, publish: Publish) -> None:
        """Wait for the lease, run the source, and release the lease. As ``Source.run``."""
        while True:
            token = await self._await_lease()
            try:
                if await self._run_held(token):
                    return
            finally:
                self.is_held = False

    async def _await_lease(self) -> int:
        while True:
            token, holder = await self._ask()
            if token:
                return token
            self.status.state = "standby"
            self.status.details = {**self.status.details, "runs on": holder}
            await self._clock.sleep(RENEW_SECONDS)

    async def _ask(self) -> tuple[int, str]:
        """Take or renew the lease; without a token, another node has it or the server is unavailable."""
        names = self._broker.names
        try:
            token, holder = await self._line.script(
                LEASE, (names.source(self._name), names.state), self._name, self._holder, int(LEASE_SECONDS * 1000)
            )
        except BrokerUnavailable as error:
            self.status.last_error = error.reason
            return 0, "unknown"
        return token, holder.decode("utf-8", "replace")

    async def _run_held(self, token: int) -> bool:
        """Run the source; True if it ended by itself, False if the lease was lost."""
        await self._fetch_state()
        fence = Fence(self._name, token)
        self.is_held = True
        self.status.details = {name: value for name, value in self.status.details.items() if name != "runs on"}
        _log.info("the source runs on this node", source=self._name, token=token)

        async def publish_fenced(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
            return await self._broker.publish_fenced(fence, events, durable=durable)

        running = asyncio.create_task(self._source.run(publish_fenced))
        renewing = asyncio.create_task(self._renew(token))
        try:
            await asyncio.wait([running, renewing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, renewing):
                task.cancel()
            await asyncio.gather(running, renewing, return_exceptions=True)
            with contextlib.suppress(BrokerUnavailable):
                await self._store_state(token)
                await self._line.script(RELEASE, (self._broker.names.source(self._name),), self._holder)
        if running.cancelled() or isinstance(running.exception(), Fenced):
            _log.warning("the source is run by another node from now on", source=self._name)
            return False
        running.result()
        return True

    async def _renew(self, token: int) -> None:
        """Renew the lease, and store the source's state on the server; return when it is lost."""
        renewed_at = self._clock.monotonic()
        while self._clock.monotonic() - renewed_at < GIVE_UP_SECONDS:
            await self._clock.sleep(RENEW_SECONDS)
            renewed, holder = await self._ask()
            if renewed == token:
                renewed_at = self._clock.monotonic()
                with contextlib.suppress(BrokerUnavailable):
                    await self._store_state(token)
            elif renewed or holder != "unknown":
                return

    async def _fetch_state(self) -> None:
        """Continue from the last holder's state; this node's own is older."""
        rows: list[bytes] = await self._line.call("HGETALL", self._broker.names.source_state(self._name))
        self._saved = {name.decode(): content for name, content in zip(rows[::2], rows[1::2], strict=True)}
        if self._saved:
            await asyncio.to_thread(self._state.replace, self._saved)

    async def _store_state(self, token: int) -> None:
        files = await asyncio.to_thread(self._state.read)
        if files and files != self._saved:
            names = self._broker.names
            words = [word for pair in files.items() for word in pair]
            await self._line.script(
                STORE_SOURCE_STATE, (names.source_state(self._name), names.state), self._name, token, *words
            )
            self._saved = files
