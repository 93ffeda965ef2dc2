"""Notifies systemd of the service's state: ready, reloading, stopping, alive (sd_notify(3)). Inactive without systemd.

Over a restart the new process announces itself as the main one, so that systemd follows it and not the old one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, MutableMapping

from swim_server.logs import Logger, get_logger

STATUS_SECONDS = 5.0
"""How often the status line is sent when there is no watchdog."""
PATIENCE_SECONDS = 0.5
"""How long a single notification may wait for space in the socket; a busy service manager reads late."""
BEATS_PER_TIMEOUT = 3
"""Beats within the watchdog's timeout: one may be late, and one be lost."""


class Notifier:
    """One end of systemd's notification socket. Sending never fails; a beat that does not fit is left out."""

    def __init__(
        self, address: str | None, watchdog_seconds: float | None = None, *, log: Logger | None = None
    ) -> None:
        self.watchdog_seconds = watchdog_seconds
        """Without a beat for this long, systemd restarts the service; None: it doesn't watch."""
        self._address = f"\0{address[1:]}" if address is not None and address.startswith("@") else address
        self._log = log or get_logger("systemd")
        self._is_silent = False
        """Notifications are not being read, and that has been logged."""
        self._said_status: str | None = None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Read how systemd started this process, or the process that hands over to it.

        ``WATCHDOG_PID`` is removed: it names the first process only, and its successors are watched as well.
        """
        address = environ.get("NOTIFY_SOCKET") or None
        watched = environ.pop("WATCHDOG_PID", None)
        microseconds = environ.get("WATCHDOG_USEC", "")
        is_watched = watched in (None, str(os.getpid())) and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1_000_000 if is_watched else None)

    @property
    def is_listened_to(self) -> bool:
        """Whether there is a service manager to notify."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """Report that this process serves, or serves again after a reload."""
        self._said_status = status
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self, status: str) -> None:
        """Report that the configuration is being read again, or another process is to take over. ``ready`` ends it."""
        self._said_status = status
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS={status}")

    def succeeded_by(self, pid: int) -> None:
        """Name another process as the main one from now on; this one sends nothing more."""
        self._send(f"MAINPID={pid}")
        self._address = None

    def stopping(self) -> None:
        """Report that the service stops, without a successor."""
        self._send("STOPPING=1\nSTATUS=stopping")

    async def run(self, status: Callable[[], str]) -> None:
        """Send beats, and the status line when it changes, until cancelled. A loop that hangs sends none."""
        if not self.is_listened_to:
            await asyncio.Event().wait()
        pause = STATUS_SECONDS
        if self.watchdog_seconds is not None:
            pause = min(pause, self.watchdog_seconds / BEATS_PER_TIMEOUT)
        while True:
            told = ["WATCHDOG=1"] if self.watchdog_seconds is not None else []
            line = status()
            if line != self._said_status:
                self._said_status = line
                told.append(f"STATUS={line}")
            if told:
                self._send("\n".join(told), patience_seconds=0.0)
            await asyncio.sleep(pause)

    def _send(self, text: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
                way.settimeout(patience_seconds)
                way.sendto(text.encode(), self._address)
        except OSError as error:
            if not self._is_silent:
                self._is_silent = True
                self._log.warning("systemd can't be notified", socket=self._address.lstrip("\0"), reason=str(error))
        else:
            self._is_silent = False


def status_line(url: str | None, clients: int, events_per_second: float) -> str:
    """Return the line that ``systemctl status`` shows."""
    noun = "client" if clients == 1 else "clients"
    return f"serving {url}: {clients} {noun}, {events_per_second:.1f} events/s"
