"""A process that reads an event file into a history, to be killed at any moment.

Run as ``python event_file_process.py FILE HISTORY ARCHIVE``. ARCHIVE gets a copy of each file that was taken, as it is
before something of it is published, so that a test can tell what the reader was given. A second name would not do: a
file with two names is not read.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swim_server.brokers.broker import Published
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import Event, NewEvent
from swim_server.sources.event_file.source import EventFileSource


def deliver(_: Sequence[Event]) -> None:
    """Ignore the event: nobody listens."""


async def main(path: Path, history: Path, archive: Path) -> None:
    broker = LocalBroker(
        history,
        clock=SYSTEM_CLOCK,
        retention=Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31),
    )
    await broker.open(deliver)

    async def publish(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        for taken in path.parent.glob(f"{path.name}.taken-*"):
            copy = archive.with_name(f"{archive.name}.new")
            with suppress(FileNotFoundError):
                shutil.copyfile(taken, copy)
                copy.replace(archive / taken.name)
        return await broker.publish(events)

    source = EventFileSource("file", path, interval_seconds=0.02, catalogue=Catalogue(), grace_seconds=1.0)
    print("ready", flush=True)
    await source.run(publish)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
