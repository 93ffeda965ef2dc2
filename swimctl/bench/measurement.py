"""One measurement: clients listen, the publisher publishes, and the figures are put together."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

import swimctl
from swimctl.bench.histogram import Histogram, bucket_of
from swimctl.bench.mark import prefix_of
from swimctl.bench.pool_messages import Finish, Opened, Result, Task
from swimctl.bench.publisher import CHANNEL, Load, Published, Publisher
from swimctl.client.session import Session
from swimctl.errors import CommandFailed

CLIENTS_PER_PROCESS = 2500
OPEN_SECONDS = 60.0
SETTLE_SECONDS = 15.0
"""How long to wait for outstanding deliveries after the last event."""
END_SECONDS = 2.0
"""How long a process of clients may take to exit by itself."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


class Target(msgspec.Struct, frozen=True):
    """The service to measure, and the key its clients use."""

    url: str
    api_key: str
    pid: int | None
    """The daemon's process, if it runs on this machine."""


class Measurement:
    """The client processes of one measurement. A context manager: no process outlives it."""

    def __init__(self, target: Target, clients: int, load: Load) -> None:
        self._target = target
        self._clients = clients
        self._load = load
        self._daemon = psutil.Process(target.pid) if target.pid is not None else None
        self._idle_rss = self._rss()
        self._crowds: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Measurement:
        return self

    def __exit__(self, *_: object) -> None:
        for crowd in self._crowds:
            if crowd.stdin is not None:
                crowd.stdin.close()  # which ends it unless it is still connecting
        for crowd in self._crowds:
            try:
                crowd.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                crowd.kill()
                crowd.wait()
            if crowd.stdout is not None:
                crowd.stdout.close()

    def open(self) -> dict[str, Any]:
        """Connect and subscribe all clients. Raises CommandFailed if none could."""
        count = max(1, min(os.cpu_count() or 1, -(-self._clients // CLIENTS_PER_PROCESS)))
        shares = [self._clients // count + (number < self._clients % count) for number in range(count)]
        began, before = time.monotonic(), self._cpu()
        for share in shares:
            self._start(share)
        opened = [self._answer(crowd, Opened) for crowd in self._crowds]
        seconds = time.monotonic() - began
        listening, failed = sum(each.listening for each in opened), sum(each.failed for each in opened)
        reason = next((each.reason for each in opened if each.failed and each.reason), None)
        if not listening:
            raise CommandFailed(f"no client could connect: {reason}", "check it with: swimctl status")
        slowest = max(each.seconds for each in opened)
        return {
            "listening": listening,
            "failed": failed,
            "reason": reason,
            "seconds": round(seconds, 3),
            "connects_per_second": round(listening / slowest, 1) if slowest else None,
            "daemon_cpu_us_per_connect": _per(self._used(before), listening, 1e6),
            "memory_bytes_per_connection": _per(self._grown(), listening, 1),
        }

    def _start(self, clients: int) -> None:
        parts = urlsplit(self._target.url)
        task = Task(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 80,
            path=f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}",
            api_key=self._target.api_key,
            clients=clients,
            channel=CHANNEL,
            prefix=prefix_of(self._load.run).decode(),
            open_seconds=OPEN_SECONDS,
        )
        root = Path(swimctl.__file__).parents[1]
        crowd = subprocess.Popen(
            [sys.executable, "-m", "swimctl.bench.client_pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
        )
        self._crowds.append(crowd)
        self._tell(crowd, task)

    def _tell(self, crowd: subprocess.Popen[bytes], message: msgspec.Struct) -> None:
        assert crowd.stdin is not None, "it was opened as a pipe"
        crowd.stdin.write(msgspec.json.encode(message) + b"\n")
        crowd.stdin.flush()

    def _answer(self, crowd: subprocess.Popen[bytes], kind: type[Any]) -> Any:
        assert crowd.stdout is not None, "it was opened as a pipe"
        line = crowd.stdout.readline()
        if not line:
            raise CommandFailed("a process of the simulated clients ended unexpectedly", "is there enough memory?")
        return msgspec.json.decode(line, type=kind)

    def run(self, session: Session, *, is_local: bool, tell: Callable[[int], None]) -> dict[str, Any]:
        """Publish, wait until everything has arrived, and put the figures together."""
        before = self._cpu()
        published = Publisher(session, self._load, is_local=is_local).run(tell)
        for crowd in self._crowds:
            self._tell(crowd, Finish(published.events, SETTLE_SECONDS))
        results = [self._answer(crowd, Result) for crowd in self._crowds]
        return self._figures(published, results, self._used(before))

    def _figures(self, published: Published, results: list[Result], cpu: float | None) -> dict[str, Any]:
        latencies = Histogram()
        for result in results:
            latencies.merge(Histogram(result.buckets, result.largest_ns))
        acks = Histogram(largest=max(published.ack_ns, default=0))
        for nanoseconds in published.ack_ns:
            acks.counts[bucket_of(nanoseconds)] += 1
        deliveries = sum(result.deliveries for result in results)
        closed: dict[str, int] = {}
        for result in results:
            for code, count in result.closed.items():
                closed[str(code)] = closed.get(str(code), 0) + count
        return {
            "events": published.events,
            "acknowledged": published.acknowledged,
            "offered_per_second": self._load.rate,
            "achieved_per_second": round(published.events / published.seconds, 2) if published.seconds else None,
            "deliveries": deliveries,
            "deliveries_per_second": round(deliveries / published.seconds, 1) if published.seconds else None,
            "bytes": sum(result.bytes for result in results),
            "lost": sum(result.missing for result in results),
            "repeated": sum(result.repeated for result in results),
            "closed": closed,
            "resumed": sum(result.resumed for result in results),
            "gaps": sum(result.gaps for result in results),
            "away": sum(result.away for result in results),
            "latency_ms": _quantiles(latencies),
            "acknowledgement_ms": _quantiles(acks),
            "daemon_cpu_percent": _per(cpu, published.seconds, 100),
            "daemon_cpu_seconds_per_million": _per(cpu, deliveries, 1e6),
            "crowd_processes": len(results),
            "crowd_cpu_percent": round(100 * max(result.cpu_seconds for result in results) / published.seconds, 1),
        }

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield the daemon's process and its workers'."""
        if self._daemon is not None:
            yield self._daemon
            with contextlib.suppress(psutil.NoSuchProcess):
                yield from self._daemon.children()

    def _cpu(self) -> dict[int, float]:
        """Return the processor time of each process of the daemon, by pid."""
        found: dict[int, float] = {}
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = float(times.user + times.system)
        return found

    def _used(self, before: Mapping[int, float]) -> float | None:
        """Return the processor time since then; that of a process that has ended meanwhile is not known."""
        if self._daemon is None:
            return None
        return sum(seconds - before.get(pid, 0.0) for pid, seconds in self._cpu().items())

    def _rss(self) -> int:
        found = 0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                found += int(process.memory_info().rss)
        return found

    def _grown(self) -> float | None:
        return float(self._rss() - self._idle_rss) if self._daemon is not None else None


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    found = {name: histogram.quantile_ms(share) for name, share in QUANTILES.items()}
    return {**found, "max": round(histogram.largest / 1e6, 3) if histogram.counts else None}


def _per(used: float | None, count: float, factor: float) -> float | None:
    """Return the resources used per unit; None if unknown."""
    return round(used / count * factor, 2) if used is not None and count else None
