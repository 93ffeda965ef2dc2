"""A process that publishes numbered events and says which were acknowledged, to be killed at any moment.

Run as ``python broker_process.py HISTORY NEXT_NAMED NEXT_PLAIN``. Writes a line for each acknowledgement, flushed:
``named NUMBER ID`` for events with an event_id, ``plain NUMBER ID`` for those without.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import Intervals
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.events import Event, NewEvent

PUBLISHERS = 4


def deliver(_: Sequence[Event]) -> None:
    """Ignore the event: nobody listens."""


async def publish(broker: LocalBroker, kind: str, numbers: Iterator[int], at_once: int) -> None:
    while True:
        chosen = list(itertools.islice(numbers, at_once))
        events = [
            NewEvent(
                type="flight.created",
                data={"kind": kind, "number": number, "padding": "x" * (number % 700)},
                event_id=f"event {number}" if kind == "named" else None,
            )
            for number in chosen
        ]
        published = await broker.publish(events)
        lines = (f"{kind} {number} {answer.id}\n" for number, answer in zip(chosen, published, strict=True))
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


async def main(path: Path, next_named: int, next_plain: int) -> None:
    broker = LocalBroker(
        path,
        clock=SYSTEM_CLOCK,
        retention=Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31),
        intervals=Intervals(tick_seconds=0.01),
    )
    await broker.open(deliver)
    plain = itertools.count(next_plain)
    async with asyncio.TaskGroup() as publishers:
        publishers.create_task(publish(broker, "named", itertools.count(next_named), 7))
        for number in range(PUBLISHERS):
            publishers.create_task(publish(broker, "plain", plain, 1 + number))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
