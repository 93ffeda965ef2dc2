"""The old process's side: starts the new one, hands over, and serves its requests until the clients have left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from swim_server.daemon.detach import program, tail
from swim_server.daemon.handover.channel import VARIABLE, Channel, Offer, PeerClosed
from swim_server.daemon.lockfile import LockInfo
from swim_server.sql.errors import StoreError

if TYPE_CHECKING:
    from swim_server.daemon.handover.program import Program
    from swim_server.daemon.home import Home
    from swim_server.logs import Logger
    from swim_server.streaming.admission import Admission

PREPARE_SECONDS = 30.0
"""How long the new process may take until it serves."""


class Predecessor(Protocol):
    """What the handover needs of the running service that another process is to follow."""

    home: Home
    admission: Admission
    log: Logger
    skip_pacing: asyncio.Event

    def offer(self, channel: int) -> Offer:
        """Return the descriptors that the new process inherits."""

    async def begin_handover(self) -> None:
        """Pause admission and publishing."""

    async def abort_handover(self) -> None:
        """Resume serving."""

    async def key_changed(self, key_id: int) -> int:
        """Read a key again, and close the connections that it no longer allows."""


class HandoverFailed(Exception):
    """The new process did not start serving; the old one continues."""

    def __init__(self, reason: str, exit_code: int | None, output: Sequence[str]) -> None:
        self.reason = reason
        self.exit_code = exit_code
        self.output = list(output)
        super().__init__(reason, exit_code)

    def __str__(self) -> str:
        summary = f"the new process {self.reason}; the old one keeps serving"
        return "\n".join([f"{summary}. Its output:", *self.output]) if self.output else summary


class RestartRefused(HandoverFailed):
    """A restart would end the service: nothing was tried."""

    def __str__(self) -> str:
        return self.reason


def _own_program(wanted: Program | None) -> str:
    """Name the command of this process's program, where another one was typed, which its user can't run perhaps."""
    own = Path(sys.executable).with_name("swimctl")
    if wanted is None or Path(wanted.executable) == Path(sys.executable) or not own.exists():
        return ""
    return f" (a restart starts the swimctl that is typed; this daemon's own: {own} restart)"


class OtherProgram(Exception):
    """The new process is not the program that was to be started."""


async def hand_over(service: Predecessor, wanted: Program | None = None) -> tuple[LockInfo, Channel]:
    """Start the code on disk, or ``wanted``, beside this process; return once it serves.

    The caller drains what is left here and ends. Raises HandoverFailed with nothing changed.
    """
    log_path = service.home.log
    begin = log_path.stat().st_size if log_path.exists() else 0
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = _start(service, theirs, wanted)
        except OSError as error:
            ours.close()
            where = f"{error.filename}: " if error.filename else ""
            reason = f"can't be started: {where}{error.strerror}{_own_program(wanted)}"
            raise HandoverFailed(reason, None, []) from None
    channel = await Channel.open(ours)
    try:
        async with asyncio.timeout(PREPARE_SECONDS):
            return await negotiate(service, channel, wanted), channel
    except (TimeoutError, PeerClosed, OtherProgram, asyncio.CancelledError) as error:
        await _end(child, at_once=isinstance(error, asyncio.CancelledError))
        await channel.close()
        if isinstance(error, asyncio.CancelledError):
            raise
        await service.abort_handover()
        if isinstance(error, OtherProgram):
            raise HandoverFailed(str(error), None, []) from None
        reason = "was not ready in time" if isinstance(error, TimeoutError) else f"ended with code {child.returncode}"
        raise HandoverFailed(reason, child.returncode, tail(log_path, begin)) from None


async def negotiate(service: Predecessor, channel: Channel, wanted: Program | None = None) -> LockInfo:
    """Perform the old process's part of the conversation, up to ``serving``. Raises PeerClosed, OtherProgram."""
    try:
        prepared = await _expect(channel, "prepared")
        _check_program(wanted, prepared)
        await service.begin_handover()
        channel.send("go", connections=service.admission.holders())
        service.admission.on_change = lambda kind, tier, key_id: channel.send(kind, tier=tier, key_id=key_id)
        message = await _expect(channel, "serving")
    except BaseException:
        service.admission.on_change = None
        raise
    return msgspec.convert(message["info"], LockInfo)


def _check_program(wanted: Program | None, prepared: Mapping[str, object]) -> None:
    """Compare the program that the new process reports with the one that was to be started. Raises OtherProgram."""
    fingerprint = prepared.get("fingerprint")
    if wanted is None or fingerprint is None or fingerprint == wanted.fingerprint:
        return
    found = f"version {prepared.get('version')}, fingerprint {fingerprint}, from {prepared.get('root')}"
    raise OtherProgram(f"is another program ({found}) than the one that requested the restart ({wanted})")


async def serve_successor(service: Predecessor, channel: Channel) -> None:
    """Serve the new process's requests while clients are left in the old one, until the new one is gone."""
    while (message := await channel.receive()) is not None:
        if message["type"] == "key_changed":
            try:
                await service.key_changed(message["key_id"])
            except StoreError as error:
                service.log.warning(
                    "a changed key can't be read at the moment", key_id=message["key_id"], reason=str(error)
                )
    service.skip_pacing.set()


async def _expect(channel: Channel, kind: str) -> dict[str, Any]:
    message = await channel.receive()
    if message is None or message.get("type") != kind:
        raise PeerClosed
    return message


def _start(service: Predecessor, channel: socket.socket, wanted: Program | None) -> subprocess.Popen[bytes]:
    if wanted is not None:
        wanted.check()
    words, more = (wanted.words, wanted.environ()) if wanted is not None else (program(), {})
    offer = service.offer(channel.fileno())
    with _log_of(service.home.log) as log:
        return subprocess.Popen(
            [*words, *_arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[offer.channel, offer.lock, *offer.listeners],
            env={**os.environ, **more, VARIABLE: msgspec.json.encode(offer).decode()},
        )


def _arguments() -> list[str]:
    """Return this process's own arguments, without ``--detach``: the new process is in the background already."""
    return [argument for argument in sys.argv[1:] if argument != "--detach"]


@contextlib.contextmanager
def _log_of(path: Path) -> Iterator[IO[bytes] | None]:
    """Open the file for the new process's output: the home's log; None if this process writes to the journal."""
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
