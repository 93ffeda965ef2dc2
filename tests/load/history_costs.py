"""The cost of safety on the disk: ``full`` and ``normal``, with and without checksums, a start with a large history.

    python tests/load/history_costs.py modes --rounds 5
    python tests/load/history_costs.py checksums --rounds 7
    python tests/load/history_costs.py start --gib 2 --rounds 5

Sides take turns within each round, for checksums at each call, and the ratios are those of one round. The folder is
that of ``--folder``, or a temporary one: it should be on the disk that is meant, not in memory. Prints figures;
asserts no times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

import uvloop
from local_broker import deliver, make
from support.daemon import Daemon
from support.disk.forked_daemon import free_port
from support.disk.wire import Wire
from swim_server.brokers.history_file import FileOptions, Synchronous
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import Intervals
from swim_server.brokers.storing import StoredTypes
from swim_server.protocol.event_id import SEQUENCE_BITS, ZERO, EventId
from swim_server.protocol.events import Event

KEEP_MS = 86_400_000
CALLS, WARM_UP_CALLS = 300, 100
LONG_WARM_UP_CALLS = 250
"""After so many of 1,000 events the write-ahead log has its size, and its blocks are used again."""
PUBLISHERS = 10
SYNCED_BYTES = 64 * 1024
PAGE_EVENTS = 500
MODES: tuple[Synchronous, ...] = ("normal", "full")
Seconds = list[float]


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["modes", "checksums", "start"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=float, default=2.0, help="how large the history is to start with")
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swim-costs-", dir=arguments.folder) as folder:
        match arguments.what:
            case "modes":
                compare_modes(Path(folder), arguments.rounds)
            case "checksums":
                compare_checksums(Path(folder), arguments.rounds)
            case "start":
                compare_starts(arguments.folder or Path(folder), arguments.rounds, round(arguments.gib * 2**30))


def compare_modes(folder: Path, rounds: int) -> None:
    """Publish one and 100 events per call, with one publisher and with ten, in both modes."""
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    syncs: list[tuple[float, float]] = []
    for number in range(rounds):
        for mode in MODES:
            path = folder / f"{mode}-{number}.db"
            for title, events_per_second, seconds in uvloop.run(_publish_all(path, mode)):
                found.setdefault((title, mode), []).append((events_per_second, *_p50_p99(seconds)))
        syncs.append(_p50_p99(_bare_syncs(folder / "bare")))
    print(f"{'':34}{'events/s':>11}{'p50 ms':>9}{'p99 ms':>9}   (medians of {rounds} rounds)")
    for title in dict.fromkeys(title for title, _ in found):
        for mode in MODES:
            rates, p50s, p99s = zip(*found[title, mode], strict=True)
            print(f"{title}, {mode:<12}"[:34].ljust(34) + f"{median(rates):11,.0f}{_ms(p50s)}{_ms(p99s)}")
        ratios = [
            full[0] / normal[0] for normal, full in zip(found[title, "normal"], found[title, "full"], strict=True)
        ]
        print(f"    full / normal: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    p50s, p99s = zip(*syncs, strict=True)
    print(f"{f'bare fdatasync of {SYNCED_BYTES // 1024} KiB':34}{'':11}{_ms(p50s)}{_ms(p99s)}")


async def _publish_all(path: Path, mode: Synchronous) -> list[tuple[str, float, Seconds]]:
    broker = await _opened(path, mode)
    await _publish(broker, 1, 1000, LONG_WARM_UP_CALLS)
    await asyncio.sleep(0.6)  # what was written is written back
    found = []
    for publishers, events in ((1, 1), (1, 100), (PUBLISHERS, 1), (PUBLISHERS, 100)):
        began = time.perf_counter()
        seconds = await _publish(broker, publishers, events, CALLS)
        rate = len(seconds) * events / (time.perf_counter() - began)
        found.append((f"{publishers} publisher{'s' * (publishers > 1)}, {events} a call", rate, seconds))
    await broker.close()
    return found


async def _publish(broker: LocalBroker, publishers: int, events: int, calls: int) -> Seconds:
    """Publish concurrently, each publisher waiting for its answer before the next call."""
    seconds: Seconds = []
    batch = make(events)

    async def one() -> None:
        for _ in range(calls):
            began = time.perf_counter()
            await broker.publish(batch)
            seconds.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(publishers)))
    return seconds


def _bare_syncs(path: Path) -> Seconds:
    """Overwrite about as much as 100 events take, and sync."""
    seconds: Seconds = []
    with path.open("wb", buffering=0) as file:
        file.write(bytes(100 * SYNCED_BYTES))
        os.fsync(file.fileno())
        for number in range(CALLS):
            os.pwrite(file.fileno(), os.urandom(SYNCED_BYTES), number % 100 * SYNCED_BYTES)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return seconds


def compare_checksums(folder: Path, rounds: int) -> None:
    """Store, and read back, with and without checksums, alternating call by call."""
    ratios: dict[str, list[float]] = {}
    seconds: dict[tuple[str, bool], Seconds] = {}
    for number in range(rounds):
        for title, sides in uvloop.run(_store_and_read(folder / f"{number}.db")).items():
            lowest = {side: quantiles(each, n=10)[0] for side, each in sides.items()}
            ratios.setdefault(title, []).append(lowest[False] / lowest[True])
            for side, each in lowest.items():
                seconds.setdefault((title, side), []).append(each)
        (folder / f"{number}.db").unlink()
    for title, found in ratios.items():
        with_, without = (median(seconds[title, side]) * 1e3 for side in (True, False))
        print(
            f"{title:24} p10 with {with_:.3f} ms, without {without:.3f} ms; "
            f"throughput {median(found):.3f} ({min(found):.3f} to {max(found):.3f}) of that without, {rounds} rounds"
        )


async def _store_and_read(path: Path) -> dict[str, dict[bool, Seconds]]:
    """Alternate at each call. On one side, stored events have no valid checksum, and it isn't checked."""
    found: dict[str, dict[bool, Seconds]] = {
        "100 stored, one call": {True: [], False: []},
        "500 read, one page": {True: [], False: []},
    }
    broker = await _opened(path, "normal")
    batch = make(100)
    await _publish(broker, 1, 100, WARM_UP_CALLS)
    end = broker.newest_id
    for number in range(4 * CALLS):
        with _checksums(is_on := bool(number % 2)):
            began = time.perf_counter()
            await broker.publish(batch)
            found["100 stored, one call"][is_on].append(time.perf_counter() - began)
    for _ in range(CALLS // 10):
        for is_on in (True, False):
            after = ZERO
            while after < end:
                with _checksums(is_on):
                    began = time.perf_counter()
                    page = await broker.read(after, end)
                    if len(page.events) == PAGE_EVENTS:
                        found["500 read, one page"][is_on].append(time.perf_counter() - began)
                    after = page.next_after
    await broker.close()
    return found


@contextmanager
def _checksums(is_on: bool) -> Iterator[None]:
    with ExitStack() as instead:
        if not is_on:
            instead.enter_context(patch.object(StoredTypes, "rows", _rows_without))
            instead.enter_context(patch.object(RowReader, "event", _event_without))
        yield


def _rows_without(_: StoredTypes, events: Sequence[Event]) -> list[tuple[int, str, bytes, int]]:
    rows: list[tuple[int, str, bytes, int]] = []
    for event in events:
        milliseconds, sequence = event.id
        rows.append((milliseconds << SEQUENCE_BITS | sequence, event.type, event.wire, 1 << 30))
    return rows


def _event_without(reader: Any, row: tuple[Any, Any, Any, Any]) -> Event | None:
    packed, raw_type, wire, _ = row
    if type(wire) is not bytes:
        return None
    known = reader._types.get(raw_type) or reader._type(raw_type)
    return None if known is None else Event(EventId.from_integer(packed), known[0], wire)


def compare_starts(folder: Path, rounds: int, size_bytes: int) -> None:
    """Start the daemon with an empty and with a large history, until a client has resumed from its end.

    The large one is created in ``folder`` if missing.
    """
    homes = {"empty": folder / "empty", "large": folder / "large"}
    keys = {}
    for name, home in homes.items():
        done = Daemon(home).swimctl("keys", "create", "--tier", "system", "--owner", "a test", "--json", check=True)
        keys[name] = json.loads(done.stdout)["api_key"]
    history = homes["large"] / "history.db"
    began = time.perf_counter()
    events = uvloop.run(_fill(history, size_bytes))
    seconds = time.perf_counter() - began
    print(f"{events:,} events in {history.stat().st_size / 2**30:.2f} GiB, stored in {seconds:.0f} s")
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, home in homes.items():
            found.setdefault(name, []).append(_start(home, keys[name]))
            _forget_pages(home / "history.db")
            found.setdefault(f"{name}, not in the page cache", []).append(_start(home, keys[name]))
    for name, starts in found.items():
        waited, used = zip(*starts, strict=True)
        print(
            f"{name:28} {median(waited):6.2f} s to the first client ({min(waited):.2f} to {max(waited):.2f}); "
            f"{median(used):.2f} s of CPU until its end ({min(used):.2f} to {max(used):.2f})"
        )


async def _fill(path: Path, size_bytes: int) -> int:
    """Store events until the file is this large; return how many."""
    broker = await _opened(path, "normal")
    batch, count = make(1000), 0
    while not path.exists() or path.stat().st_size < size_bytes:
        await broker.publish(batch)
        count += len(batch)
    await broker.close()
    return count


def _start(home: Path, key: str) -> tuple[float, float]:
    """Start it, until a client has resumed from its last event, and stop it; return that time, and its CPU time."""
    daemon, port = Daemon(home, config="[history]\nmax_bytes = 8589934592\n"), free_port()
    environ = {**daemon.environ, "SWIM_HOME": str(home)}
    began = time.perf_counter()
    words = [sys.executable, "-m", "swimctl", "serve", "--port", str(port)]
    with (home / "daemon.log").open("ab") as log:
        process = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    seconds = _until_client(process, port, key, began)
    process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    if seconds is None:
        raise SystemExit(f"the daemon ended: {(home / 'daemon.log').read_text('utf-8')[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime


def _until_client(process: subprocess.Popen[bytes], port: int, key: str, began: float) -> float | None:
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        try:
            wire = Wire.connect(port, key)
        except OSError:
            time.sleep(0.005)
            continue
        wire.send({"action": "subscribe", "channels": ["flight.*"], "after": "1-0"})
        wire.until("subscribed")
        seconds = time.perf_counter() - began
        wire.close()
        return seconds
    return None


def _forget_pages(path: Path) -> None:
    """Make the kernel drop its cached pages of a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def _opened(path: Path, mode: Synchronous) -> LocalBroker:
    broker = LocalBroker(
        path,
        retention=Retention(keep_ms=KEEP_MS, keep_positions_ms=KEEP_MS, max_bytes=1 << 36),
        options=FileOptions(synchronous=mode),
        intervals=Intervals(check_after_seconds=3600),
    )
    await broker.open(deliver)
    return broker


def _p50_p99(seconds: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]


def _ms(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1e3:9.2f}"


if __name__ == "__main__":
    main()
