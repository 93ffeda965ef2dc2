"""The program of a worker process. Only a primary starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from swim_server.concurrency.allocator import limit_idle_memory
from swim_server.concurrency.event_loop import THREAD_TURN_SECONDS, loop_factory
from swim_server.daemon.fingerprint import take_fingerprint
from swim_server.daemon.home import Home
from swim_server.daemon.wiring import log_failure
from swim_server.daemon.workers.worker import Worker, name_this_process
from swim_server.daemon.workers.worker_parts import build_worker_parts
from swim_server.daemon.workers.worker_process import VARIABLE, WorkerOffer
from swim_server.workers import messages
from swim_server.workers.descriptors import DescriptorChannel
from swim_server.workers.link import Link
from swim_server.workers.messages import Unusable, Welcome

OTHER_CODE = "the code on disk is not the one that the primary runs: swimctl restart runs it in all processes"


def main() -> None:
    """Serve as the worker that the environment describes, until the primary is gone."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        sys.exit("swimctl serve --workers N starts this program; it does nothing by itself")
    offer = msgspec.json.decode(text, type=WorkerOffer)
    os.set_inheritable(offer.link, False)
    os.set_inheritable(offer.descriptors, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the primary, which then asks its workers
    limit_idle_memory()
    sys.setswitchinterval(THREAD_TURN_SECONDS)
    os.umask(0o077)
    name_this_process(offer.number)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(offer))


async def _run(offer: WorkerOffer) -> None:
    loop = asyncio.get_running_loop()
    link = Link(log_failure)
    welcomed: asyncio.Future[Welcome] = loop.create_future()
    link.on(messages.WELCOME, welcomed.set_result)
    end = socket.socket(fileno=offer.link)
    end.setblocking(False)
    fingerprint = take_fingerprint().digest
    await loop.create_unix_connection(lambda: link, sock=end)
    either: list[asyncio.Future[Any]] = [welcomed, link.lost]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not welcomed.done():
        return
    welcome = welcomed.result()
    if welcome.fingerprint != fingerprint:
        link.tell(messages.UNUSABLE, Unusable(OTHER_CODE, is_final=True))
        link.close()
        return
    descriptors = socket.socket(fileno=offer.descriptors)
    descriptors.setblocking(False)
    channel = DescriptorChannel(descriptors, lambda descriptor, data: worker.receive(descriptor, data))
    parts = build_worker_parts(welcome.config, Home(Path(welcome.home)), link, channel, offer.number)
    worker = Worker(parts)
    loop.add_signal_handler(signal.SIGTERM, worker.request_stop)
    try:
        await worker.run()
    finally:
        channel.close()
        link.close()


if __name__ == "__main__":
    main()
