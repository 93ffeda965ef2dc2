"""Where the network side runs: in the loop of the handlers, or in a thread of its own, which no handler can block."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Callable, Optional

from swim_client.inbox import Signal
from swim_client.reconnector import Reconnector


class NetworkTask:
    """Runs the link as a task of the handlers' loop: for async programs, whose handlers don't block."""

    def __init__(self, make_link: Callable[[], Reconnector]) -> None:
        self._make_link = make_link
        self._link: Optional[Reconnector] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._thread_id = threading.get_ident()

    def is_this_thread(self) -> bool:
        """Tell whether answers arrive in the thread that asks."""
        return self._thread_id == threading.get_ident()

    async def open(self) -> Reconnector:
        """Make the link. It does nothing before ``start``."""
        self._link = self._make_link()
        return self._link

    def start(self) -> None:
        """Begin to connect."""
        assert self._link is not None, "open() comes first"
        self._task = asyncio.ensure_future(self._link.run())

    async def ended(self) -> None:
        """Wait until the link has ended; being cancelled doesn't cancel it."""
        if self._task is not None:
            await asyncio.wait({self._task})


class NetworkThread:
    """Runs the link in a loop and a thread of its own: for plain programs, whose handlers may take their time."""

    def __init__(self, make_link: Callable[[], Reconnector]) -> None:
        self._make_link = make_link
        self._opened: concurrent.futures.Future[Reconnector] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._may_start: Optional[Signal] = None
        self._is_decided = False
        self._is_wanted = False
        """Decided, and not wanted: given up before it began."""
        # A daemon thread: should the program die without a word, nothing keeps the process.
        self._thread = threading.Thread(target=self._run, name="swim-client-network", daemon=True)

    def is_this_thread(self) -> bool:
        """Tell whether answers arrive in the thread that asks."""
        return self._thread is threading.current_thread()

    async def open(self) -> Reconnector:
        """Start the thread and make the link in it. It does nothing before ``start``."""
        self._thread.start()
        return await asyncio.wrap_future(self._opened)

    def start(self) -> None:
        """Begin to connect."""
        self._is_wanted = True
        self._go_on()

    def _go_on(self) -> None:
        self._is_decided = True
        if self._may_start is not None:
            self._may_start.set()

    async def ended(self) -> None:
        """Wait until the link has ended and the thread with it."""
        self._go_on()
        await asyncio.shield(asyncio.wrap_future(self._ended))
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._may_start = Signal()
        link = self._make_link()
        self._opened.set_result(link)
        if not self._is_decided:
            await self._may_start.wait()
        if self._is_wanted:
            await link.run()
