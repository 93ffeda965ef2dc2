"""The way from each node to the server, which can fall silent: dropped packets where root may, else a proxy."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import Protocol

from support.cuttable_line import CuttableLine

NAMESPACE = "SWIM_CHAOS_NAMESPACE"
"""Set where this process has a network namespace of its own, whose packets it may drop."""


class Links(Protocol):
    """One link for each node."""

    name: str

    def url(self, number: int) -> str:
        """Return the server's address for a node."""

    def cut(self, number: int) -> None:
        """Let nothing pass; neither side is told."""

    def mend(self, number: int) -> None:
        """Let everything pass again."""

    async def close(self) -> None:
        """End them."""


class DroppedPackets:
    """Each node has an address of the server's of its own; packets to and from it are dropped by the kernel."""

    name = "packets dropped in a network namespace"

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut: set[int] = set()

    @staticmethod
    def addresses(nodes: int) -> list[str]:
        """Return the addresses to which the server must listen."""
        return [f"127.0.0.{10 + number}" for number in range(nodes)]

    def url(self, number: int) -> str:
        return f"redis://127.0.0.{10 + number}:{self._port}"

    def cut(self, number: int) -> None:
        self._cut.add(number)
        self._rules("-I", number)

    def mend(self, number: int) -> None:
        if number in self._cut:
            self._cut.discard(number)
            self._rules("-D", number)

    async def close(self) -> None:
        for number in list(self._cut):
            self.mend(number)

    def _rules(self, change: str, number: int) -> None:
        for direction in ("-d", "-s"):
            words = ["iptables", "-w", change, "INPUT", direction, f"127.0.0.{10 + number}", "-p", "tcp", "-j", "DROP"]
            subprocess.run(words, check=True, capture_output=True)


class SilentLines:
    """Each node reaches the server through a proxy that can hold everything back, and deliver it late."""

    name = "bytes held back by a proxy"

    def __init__(self, port: int, nodes: int) -> None:
        self._lines = [CuttableLine(port) for _ in range(nodes)]
        self._stack = AsyncExitStack()

    async def open(self) -> SilentLines:
        for line in self._lines:
            await self._stack.enter_async_context(line)
        return self

    def url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self._lines[number].port}"

    def cut(self, number: int) -> None:
        self._lines[number].hold()

    def mend(self, number: int) -> None:
        self._lines[number].release()

    async def close(self) -> None:
        await self._stack.aclose()


def has_namespace() -> bool:
    """Tell whether this process may drop packets without disturbing anybody."""
    return os.environ.get(NAMESPACE) == "1"


def enter_namespace() -> None:
    """Start this program again in a network namespace of its own, where root may; else return."""
    if has_namespace() or os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip", "iptables"))):
        return
    probe = ["unshare", "--net", "sh", "-c", "ip link set lo up && iptables -A INPUT -s 127.0.0.9 -j DROP"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return
    os.environ[NAMESPACE] = "1"
    words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable, *sys.argv]
    os.execvp(words[0], words)


async def open_links(port: int, nodes: int) -> Links:
    """Return the links that this machine allows."""
    if has_namespace():
        return DroppedPackets(port)
    await asyncio.sleep(0)
    return await SilentLines(port, nodes).open()
