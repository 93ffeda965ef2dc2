"""Handing the service over to a new process: the listening sockets and the held lock go across, nobody is turned away.

Old and new talk over a socket pair, one JSON object a line:
new: ``prepared``: everything is open but the doors · old, its sources stopped, letting nobody in any more: ``go`` with
its live connections · new: ``serving``: it accepts, also who came meanwhile; the lockfile names it · old: ``left`` for
each connection, then hangs up. Before ``serving`` any failure leaves the old process serving as before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from swim_server.daemon.detach import program, tail
from swim_server.daemon.lockfile import LockInfo
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from swim_server.daemon.service import Service
    from swim_server.streaming.admission import Admission

VARIABLE = "_SWIM_HANDOVER"
"""Holds the ``Offer`` that a new process finds in its environment."""
PREPARE_SECONDS = 30.0
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Of what old and new say to each other: the live connections are one line."""


class Offer(msgspec.Struct, frozen=True):
    """What the old process hands to the new one: descriptors that it has inherited."""

    channel: int
    lock: int
    listeners: list[int]
    host: str
    port: int
    """As configured when they were bound: other ones in the new configuration are bound anew."""


class HandoverFailed(Exception):
    """The new process did not come to serve; the old one goes on."""

    def __init__(self, reason: str, exit_code: int | None, output: Sequence[str]) -> None:
        self.reason = reason
        self.exit_code = exit_code
        self.output = list(output)
        super().__init__(reason, exit_code)

    def __str__(self) -> str:
        summary = f"the new process {self.reason}; the old one goes on serving"
        return "\n".join([f"{summary}. What it said:", *self.output]) if self.output else summary


class Channel:
    """One end of the conversation between old and new."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        """Use one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))

    def send(self, kind: str, **details: Any) -> None:
        """Send a message; ignored when the other end is gone. ``word`` is its type to earlier versions."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode({"type": kind, "word": kind, **details}) + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """The next thing the other end says; None when it is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = msgspec.json.decode(line)
        message.setdefault("type", message.get("word"))
        return message

    async def close(self) -> None:
        """Hang up, everything sent is delivered. Idempotent."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


def take_offer(environ: MutableMapping[str, str]) -> Offer | None:
    """The offer with which this process was started, if it was; removed, so that no child believes in it."""
    text = environ.pop(VARIABLE, None)
    return msgspec.json.decode(text, type=Offer) if text is not None else None


# The old process's side.


async def hand_over(service: Service) -> tuple[LockInfo, Channel]:
    """Start the code on disk beside this process and let it take over; return once it serves.

    The caller drains what is left here and ends. Raises HandoverFailed with nothing changed.
    """
    log_path = service.home.log
    begin = log_path.stat().st_size if log_path.exists() else 0
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = _start(service, theirs)
        except OSError as error:
            ours.close()
            raise HandoverFailed(f"can't be started: {error.strerror}", None, []) from None
    channel = await Channel.open(ours)
    try:
        async with asyncio.timeout(PREPARE_SECONDS):
            return await negotiate(service, channel), channel
    except (TimeoutError, PeerClosed, asyncio.CancelledError) as error:
        await _end(child, at_once=isinstance(error, asyncio.CancelledError))
        await channel.close()
        if isinstance(error, asyncio.CancelledError):
            raise
        await service.abort_handover()
        reason = "was not ready in time" if isinstance(error, TimeoutError) else f"ended with code {child.returncode}"
        raise HandoverFailed(reason, child.returncode, tail(log_path, begin)) from None


async def negotiate(service: Service, channel: Channel) -> LockInfo:
    """The old process's part of the conversation up to ``serving``. Raises PeerClosed."""
    try:
        await _expect(channel, "prepared")
        await service.begin_handover()
        channel.send("go", connections=service.admission.holders())
        service.admission.on_change = lambda kind, tier, key_id: channel.send(kind, tier=tier, key_id=key_id)
        message = await _expect(channel, "serving")
    except BaseException:
        service.admission.on_change = None
        raise
    return msgspec.convert(message["info"], LockInfo)


async def serve_successor(service: Service, channel: Channel) -> None:
    """In the old process, while clients are left: do what the new one asks, until it is gone."""
    while (message := await channel.receive()) is not None:
        if message["type"] == "key_changed":
            try:
                await service.key_changed(message["key_id"])
            except StoreError as error:
                service.log.warning("a changed key can't be read just now", key_id=message["key_id"], reason=str(error))
    service.skip_pacing.set()


class PeerClosed(Exception):
    """The other process is gone, or says what it shouldn't."""


async def _expect(channel: Channel, kind: str) -> dict[str, Any]:
    message = await channel.receive()
    if message is None or message.get("type") != kind:
        raise PeerClosed
    return message


def _start(service: Service, channel: socket.socket) -> subprocess.Popen[bytes]:
    listeners = service.listeners.sockets
    offer = Offer(
        channel=channel.fileno(),
        lock=service.lockfile.fileno(),
        listeners=[each.fileno() for each in listeners],
        host=service.bound_to[0],
        port=service.bound_to[1],
    )
    with _log_of(service.home.log) as log:
        return subprocess.Popen(
            [*program(), *_arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[offer.channel, offer.lock, *offer.listeners],
            env={**os.environ, VARIABLE: msgspec.json.encode(offer).decode()},
        )


def _arguments() -> list[str]:
    """This process's own arguments; the new one is in the background already."""
    return [argument for argument in sys.argv[1:] if argument != "--detach"]


@contextlib.contextmanager
def _log_of(path: Path) -> Iterator[IO[bytes] | None]:
    """Where the new process writes: to the journal where this one does, else to the home's log."""
    if "JOURNAL_STREAM" in os.environ:
        yield None
        return
    with path.open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        yield log


async def _end(child: subprocess.Popen[bytes], *, at_once: bool) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(child.wait, 0 if at_once else 0.5)
    if child.poll() is None:
        child.kill()
    await asyncio.to_thread(child.wait)


# The new process's side.


class InheritedProcess:
    """What a new process has from the old one, and how it tells when it is ready."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        for descriptor in (offer.channel, offer.lock, *offer.listeners):
            os.set_inheritable(descriptor, False)
        self._channel: Channel | None = None

    def sockets(self, host: str, port: int) -> list[socket.socket] | None:
        """The inherited listening sockets; None when the configuration now names another address."""
        sockets = [socket.socket(fileno=descriptor) for descriptor in self.offer.listeners]
        if host == self.offer.host and port in (0, self.offer.port):
            for each in sockets:
                each.setblocking(False)
            return sockets
        for each in sockets:
            each.close()
        return None

    async def await_go(self) -> list[tuple[str, int]]:
        """Say that all is prepared; wait until the old process's sources have stopped.

        Returns tier and key id of each of its live connections.

        If the old process dies meanwhile nobody serves: then this one goes on at once.
        """
        self._channel = await Channel.open(socket.socket(fileno=self.offer.channel))
        self._channel.send("prepared")
        message = await self._channel.receive()
        return [(tier, key_id) for tier, key_id in (message or {}).get("connections", ())]

    def say_serving(self, info: LockInfo) -> None:
        """Tell the old process that it may go."""
        assert self._channel is not None, "await_go comes first"
        self._channel.send("serving", info=msgspec.to_builtins(info))

    async def follow(self, admission: Admission, connections: Sequence[tuple[str, int]]) -> None:
        """Count the old process's connections until each has left, so that limits stay exact over both."""
        assert self._channel is not None, "await_go comes first"
        held = Counter((tier, key_id) for tier, key_id in connections)
        while (message := await self._channel.receive()) is not None:
            if message["type"] == "left":
                holder = (message["tier"], message["key_id"])
                admission.release(*holder)
                held[holder] -= 1
        for holder in held.elements():
            admission.release(*holder)
        await self._channel.close()

    def tell(self, kind: str, **details: Any) -> None:
        """Tell the old process, which still has clients."""
        if self._channel is not None:
            self._channel.send(kind, **details)
