"""Daemons of other homes on this machine, and the sources they read. They are only asked."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.diagnostics import Promises

if TYPE_CHECKING:
    from pathlib import Path

    from swimctl.doctor.context import DoctorContext

ASK_SECONDS = 0.5
MOST_ASKED, AT_ONCE = 32, 8


class OtherDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon of another home."""

    pid: int
    home: str
    paths: tuple[str, ...]
    """Files that its sources read."""


async def other_daemons(context: DoctorContext) -> list[OtherDaemon]:
    """Find the other daemons that may be asked, and the files of their sources."""
    return await context.fact(
        "kernel.other-daemons", lambda: asyncio.to_thread(_find, context), "/proc, and their control sockets",
        shape=list[OtherDaemon],
    )  # fmt: skip


def _find(context: DoctorContext) -> list[OtherDaemon]:
    others = [(pid, home) for pid, home in context.procfs.daemons() if home != context.home.path][:MOST_ASKED]
    if not others:
        return []
    seconds = context.within(ASK_SECONDS)
    pool = ThreadPoolExecutor(min(len(others), AT_ONCE))
    asked = [pool.submit(_paths, home, seconds) for _, home in others]
    wait(asked, 2 * seconds)  # of many, some may be stopped, or be starting: those are left alone
    pool.shutdown(wait=False, cancel_futures=True)
    paths = [each.result() if each.done() and not each.cancelled() else () for each in asked]
    return [OtherDaemon(pid=pid, home=str(home), paths=each) for (pid, home), each in zip(others, paths, strict=True)]


def _paths(home: Path, seconds: float) -> tuple[str, ...]:
    from swim_server.daemon.home import Home

    from swimctl.client.control import ControlClient
    from swimctl.errors import CommandError

    with (
        contextlib.suppress(CommandError, OSError, msgspec.ValidationError),
        ControlClient.connect(Home(home), timeout=0.0, open_timeout=seconds, light=True) as control,
    ):
        document = msgspec.convert(control.call("promises", {}, timeout=seconds), Promises)
        return tuple(each.path for each in document.sources if each.path is not None)
    return ()
