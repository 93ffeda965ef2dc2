"""A small real world: a daemon with a feed and an event file behind a proxy, and a client that resumes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from support.doctor_faults import SMALL, Patient, copy_of_the_code
from support.doctor_faults_process import free_port
from support.feed_server import FeedServer, feed_server
from support.front_proxy import FrontProxy
from support.live_daemon import await_true
from swim_client import SWIMClient

TYPE = "tmi.issued"
SETTLE_SECONDS = 20.0
ANSWER_SECONDS = 5.0
"""So long the judge waits for a process that may be stopped."""
PATIENCE_SECONDS = "20"
"""What doctor is given: a search runs with what other programs leave."""
START_SECONDS = 90.0
FEED_SECONDS = 2.0
"""So often the feed says something new."""


class ProcessSeen(msgspec.Struct, frozen=True):
    """A daemon as seen from outside."""

    user: int
    arguments: tuple[str, ...]
    sources: tuple[str, ...]
    """What it reads."""


class Listener:
    """An SDK client in a thread: it stays connected, resumes, and records what it receives."""

    def __init__(self, url: str, api_key: str) -> None:
        self.numbers: list[int] = []
        self._url, self._key = url, api_key
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._listen())
        with contextlib.suppress(asyncio.CancelledError, Exception):  # refused for good: the judge sees what is missing
            self._loop.run_until_complete(self._task)
        self._loop.close()

    async def _listen(self) -> None:
        async with SWIMClient(self._key, self._url, max_reconnect_interval=1.0) as client:
            async for event in client.events([TYPE]):
                self.numbers.append(int(event.data["number"]))

    def stop(self) -> None:
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # it was refused for good, and its loop is closed
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)


class World:
    """One daemon and everything around it. ``numbers`` of acknowledged events are recorded."""

    def __init__(self, folder: Path, *, has_own_code: bool, port: int | None = None) -> None:
        folder.mkdir(parents=True)
        self.patient = Patient(folder, copy_of_the_code(folder / "code") if has_own_code else None)
        self.patient.patience_seconds, self.patient.start_seconds = PATIENCE_SECONDS, START_SECONDS
        self.port = port or free_port()
        """The same in a world made anew: what is to be pasted names it."""
        self.event_file = folder / "spool" / "events.json"
        self.event_file.parent.mkdir()
        self.feed: FeedServer
        self.proxy: FrontProxy
        self.taken: list[int] = []
        self.before: ProcessSeen | None = None
        """The process as it was before anything was pasted."""
        self.listener: Listener
        self._feed_is_left = threading.Event()

    @property
    def config(self) -> str:
        """Return the correct configuration."""
        front = SMALL.replace("port = 0", f'port = {self.port}\npublic_url = "{self.proxy.url}"')
        return (
            f'{front}[[sources]]\nkind = "file"\npath = "{self.event_file}"\n'
            f'[[sources]]\nkind = "vatsim"\nurl = "{self.feed.url}"\ninterval_seconds = 0.5\n'
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything; a client is connected and has received an event."""
        with feed_server(feed_document(datetime.now(UTC))) as feed, FrontProxy() as proxy:
            self.feed, self.proxy, proxy.target_port = feed, proxy, self.port
            self.patient.configure(self.config)
            self.patient.start(port=self.port)
            self.before = self.process()
            self.listener = Listener(self.patient.url, self.patient.api_key("partner"))
            self.listener.start()
            news = threading.Thread(target=self._tell_news)
            news.start()
            try:
                await_true(lambda: any(each["channels"] for each in self.patient.connections), seconds=60)
                assert self.is_served(), "a world that is not well before its fault"
                await_true(self._all_sources_read, seconds=60, what="a first look of each source")
                yield
            finally:
                self._feed_is_left.set()
                news.join()
                self.listener.stop()
                self.patient.finish()

    def _all_sources_read(self) -> bool:
        return all(each["last_success_age_seconds"] is not None for each in self.patient.status()["sources"])

    def _tell_news(self) -> None:
        while not self._feed_is_left.wait(FEED_SECONDS):
            self.feed.documents = [feed_document(datetime.now(UTC))]

    def feed_says(self, document: bytes) -> None:
        """Make the feed answer with this from now on."""
        self._feed_is_left.set()
        self.feed.documents = [document]

    def start_with_feed(self, document: bytes) -> None:
        """Start the daemon again with a feed that has never said anything else."""
        self.feed_says(document)
        self.patient.stop()
        shutil.rmtree(self.patient.home / "sources")
        self.patient.start(port=self.port)
        await_true(self._all_sources_read, seconds=60, what="a first look of each source")

    def start_again(self, variables: Mapping[str, str], port: int | None = None) -> None:
        """Start the daemon again, with variables or a port that differ from its configuration."""
        self.patient.stop()
        kept = dict(self.patient.environ)
        self.patient.environ.update(variables)
        try:
            self.patient.start(port=self.port if port is None else port)
        finally:
            self.patient.environ.clear()
            self.patient.environ.update(kept)

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask the process, which may be stopped, replaced or gone; None: no answer soon."""
        from swim_server.daemon.home import Home

        from swimctl.client.control import ControlClient
        from swimctl.errors import CommandError

        home = Home(self.patient.home)
        with (
            contextlib.suppress(CommandError, OSError),
            ControlClient.connect(home, timeout=0.0, open_timeout=ANSWER_SECONDS) as control,
        ):
            return control.call(method, params, ANSWER_SECONDS)
        return None

    def note(self) -> None:
        """Record the process's user and arguments, if it is running."""
        self.before = self.process() or self.before

    def process(self) -> ProcessSeen | None:
        """Return the process that answers in the home; None if there is none."""
        document = self.ask("status")
        if document is None:
            return None
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(document["pid"])
            words = [each for each in document["arguments"] if each not in ("serve", "--detach")]
            sources = tuple(sorted(each["name"] for each in document["sources"]))
            return ProcessSeen(found.uids().effective, tuple(words), sources)
        return None

    def publish(self) -> bool:
        """Publish one event; return whether it was acknowledged."""
        number = len(self.taken)
        if self.ask("status") is None:
            return False  # asked of a process that is stopped, it would be taken when nobody expects it any more
        with contextlib.suppress(Exception):  # a daemon that takes nothing is what is looked for
            self.patient.publish(TYPE, number=number, tmi_type="GS")
            self.taken.append(number)
            return True
        return False

    def is_served(self, seconds: float = SETTLE_SECONDS) -> bool:
        """Return True if a new event reaches the client, and all before it, once and in order."""
        deadline = time.monotonic() + seconds
        while not self.publish():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        while self.taken[-1] not in self.listener.numbers:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return self.listener.numbers == self.taken

    def is_lossless(self) -> bool:
        """Return True if the client received all acknowledged events, once and in order, as far as it received any."""
        told = self.listener.numbers
        return told == self.taken[: len(told)]

    def doctor(self) -> dict[str, Any]:
        """Run doctor as any user would."""
        _, document = self.patient.doctor()
        return document


def feed_document(moment: datetime) -> bytes:
    """Return an empty feed of some moment."""
    general = {"version": 3, "update_timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")}
    return json.dumps({"general": general, "pilots": [], "prefiles": []}).encode()


def is_root() -> bool:
    """Return True if files can be given away."""
    return os.geteuid() == 0
