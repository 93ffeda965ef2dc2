"""Has another process take over from this one: one attempt at a time, and its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from swim_server.daemon.handover.predecessor import HandoverFailed, Predecessor, RestartRefused, hand_over

if TYPE_CHECKING:
    from swim_server.daemon.handover.channel import Channel
    from swim_server.daemon.handover.program import Program
    from swim_server.daemon.launch import Launch
    from swim_server.daemon.lockfile import LockInfo
    from swim_server.daemon.notifier import Notifier


class RunningService(Predecessor, Protocol):
    """The service that is to be followed by another process."""

    launch: Launch

    @property
    def is_stopping(self) -> bool:
        """Whether the service was asked to stop."""

    def status_line(self) -> str:
        """Return the line shown by the service manager."""


class Restarter:
    """Starts the successor of a service and keeps the channel to it."""

    def __init__(self, service: RunningService, notifier: Notifier) -> None:
        self.successor: Channel | None = None
        """The channel to the process that has taken over; None: none has."""
        self._service = service
        self._notifier = notifier
        self._task: asyncio.Task[tuple[LockInfo, Channel]] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether another process is about to take over."""
        return self._task is not None

    async def restart(self, wanted: Program | None = None) -> LockInfo:
        """Let the code on disk, or ``wanted``, take over; the caller then drains and ends.

        Raises HandoverFailed with nothing changed; RestartRefused where a supervisor would take the end of this process
        for the end of the service.
        """
        service, notifier = self._service, self._notifier
        refusal = service.launch.refusal()
        if refusal is not None:
            service.log.error("restart refused", reason=refusal)
            raise RestartRefused(refusal, None, [])
        if self._task is not None or service.is_stopping:
            raise HandoverFailed("is not started: a restart or stop is under way", None, [])
        service.log.info("starting the code on disk beside this process")
        notifier.reloading("restarting: the code on disk takes over")
        self._task = asyncio.create_task(hand_over(service, wanted), name="handover")
        await asyncio.wait([self._task])
        task, self._task = self._task, None
        try:
            info, self.successor = task.result()
            notifier.succeeded_by(info.pid)
        except HandoverFailed as failed:
            notifier.ready(f"{service.status_line()}; a restart failed")
            service.log.error("restart failed: this process keeps serving", reason=failed.reason, output=failed.output)
            raise
        except asyncio.CancelledError:
            raise HandoverFailed("was stopped: so is the service", None, []) from None
        return info

    async def cancel(self) -> None:
        """End an attempt under way, and the new process with it, unless that has just taken over."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                self.successor = task.result()[1]
