"""A scripted server in a thread of its own, for programs and tests that have no event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from swim_conformance.script import Script
from swim_conformance.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from typing import Self

STARTING_SECONDS = 10.0


class ServerThread:
    """``with ServerThread({...}) as server``: a server that plays a script; clients connect to ``server.url``."""

    def __init__(self, script: Script | Mapping[str, Any] | str | Path | None = None) -> None:
        """Prepare the server; ``script``: a Script, decoded JSON, or a file's path; None: the ordinary service."""
        self._script = _read(script)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-swim-server", daemon=True)
        self._server: ScriptedServer | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._do(self._start())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._do(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> ScriptedServer:
        server = ScriptedServer(self._script)
        await server.start()
        return server

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STARTING_SECONDS)

    @property
    def server(self) -> ScriptedServer:
        """The server itself; its methods must be called in its own thread."""
        assert self._server is not None, "__enter__ comes first"
        return self._server

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.server.url

    @property
    def failures(self) -> list[str]:
        """Steps that waited in vain for the client."""
        return list(self.server.failures)

    def publish(self, event_type: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Store an event and send it to every subscriber; return it as sent."""
        event: dict[str, Any] = self._do(self.server.publish(event_type, dict(data or {})))
        return event

    def signal(self, name: str) -> None:
        """Resume the steps that wait ``until`` this name."""
        self._loop.call_soon_threadsafe(self.server.signal, name)

    def received(self, connection: int, action: str | None = None) -> list[dict[str, Any]]:
        """Return the client's messages on a connection, counted from 1."""
        return self.server.received(connection, action)

    def wait_until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait until a condition holds. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"what was waited for did not happen within {seconds:g} s")
            time.sleep(0.01)


def _read(script: Script | Mapping[str, Any] | str | Path | None) -> Script:
    if script is None or isinstance(script, Script):
        return script or Script()
    if isinstance(script, (str, Path)):
        return Script.load(Path(script))
    return Script.read(script)
