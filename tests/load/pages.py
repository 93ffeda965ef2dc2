"""The pages in a real Chromium: time of a frame, of the first picture, memory; and what they cost the daemon.

    python tests/load/pages.py [--only first,frames,memory,trails,ops,maps]
    python tests/load/pages.py --only memory --minutes 60     by the clock; else an hour of reports as fast as they go

Two thousand aircraft that report every 15 s, from a program of this test, through a real daemon.

``first``    from the request of the page to the first picture, and to the first one with the traffic, with a key that
             the tab has
``frames``   script and all work of the page's main thread for a frame, by the browser's own accounting, over twenty
             seconds that hold a report: without trails, with all trails, and while the map is moved
``memory``   the heap after an hour of reports, with flights that come and go, after a collection and before
``trails``   the time and the daemon's CPU for a document of all trails of half an hour, and of one flight
``ops``      the daemon's CPU with 10,000 connections while nobody, and while an open operator's page, looks
``maps``     the daemon's CPU of twenty open maps, of twenty subscribers, and of nobody, in turns
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chromium import Tab, chromium
from support.live_daemon import LiveDaemon, live_daemon
from support.load_rig import Daemon, Receiver, compiled, table, workshop
from support.map_traffic import MapTraffic
from support.state_load import CountingClient, open_websocket

FLIGHTS = 2000
REPORT_SECONDS = 15.0
REPORTS_AN_HOUR = 240
LIMITS = "[tiers.developer]\nrequests_per_minute = 100000\n"
LIVE = "document.querySelector('#stage')?.dataset.stage === 'live'"
COUNT = "Number((document.querySelector('#counts strong')?.textContent ?? '0').replaceAll(',', ''))"


class Reports:
    """Two thousand aircraft, told to a daemon."""

    def __init__(self, daemon: LiveDaemon, flights: int = FLIGHTS) -> None:
        self._daemon = daemon
        self._traffic = MapTraffic(flights)
        self._put(self._traffic.begin())
        self.count = 0

    def _put(self, events: list[tuple[str, dict[str, Any]]]) -> None:
        for begin in range(0, len(events), 500):
            self._daemon.put(*events[begin : begin + 500])

    def report(self, seconds: float = REPORT_SECONDS) -> None:
        self._put(self._traffic.report(seconds))
        self.count += 1

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Report every 15 s during a ``with``."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(REPORT_SECONDS):
                self.report()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def open_map(tab: Tab, daemon: LiveDaemon, key: str, view: str = "", *, flights: int = FLIGHTS) -> None:
    tab.call("Page.bringToFront")
    tab.open(f"http://127.0.0.1:{daemon.port}/map{view}")
    tab.wait_for("document.querySelector('#key-dialog').open")
    tab.type(key)
    tab.press("Enter")
    tab.wait_for(f"{LIVE} && {COUNT} >= {flights}")


def metrics(tab: Tab) -> dict[str, float]:
    return {each["name"]: each["value"] for each in tab.call("Performance.getMetrics")["metrics"]}


def cpu_seconds(pid: int) -> float:
    """Return the time that the threads of a process have run: to the nanosecond, where others are counted in ticks."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def median_of(work: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    found = sorted(work() for _ in range(rounds))
    return found[len(found) // 2], found[0], found[-1]


# What a person waits for.


def first(rounds: int) -> None:
    with workshop() as folder, live_daemon(folder / "home", config=LIMITS) as daemon, chromium() as open_tab:
        Reports(daemon)
        tab = open_tab()
        tab.look_as(1440, 900)
        open_map(tab, daemon, daemon.api_key())
        painted, with_traffic = [], []
        for _ in range(rounds):
            tab.call("Page.navigate", url="about:blank")
            tab.wait_for("location.href === 'about:blank'")
            tab.open(f"http://127.0.0.1:{daemon.port}/map")
            names = ("first-contentful-paint", "traffic")
            tab.wait_for(" && ".join(f"performance.getEntriesByName('{name}').length" for name in names))
            marks = json.loads(tab.evaluate(
                f"JSON.stringify({json.dumps(names)}.map((name) => performance.getEntriesByName(name)[0].startTime))"
            ))  # fmt: skip
            painted.append(marks[0])
            with_traffic.append(marks[1])
        rows = [[name, sorted(found)[len(found) // 2], min(found), max(found)] for name, found in (
            ("first picture, ms", painted), ("with 2,000 aircraft, ms", with_traffic))]  # fmt: skip
        table(f"From the request of the page, {rounds} times", ["", "median", "least", "most"], rows)


FRAMES = """new Promise((done) => {
  let frames = 0; const end = performance.now() + %d;
  const step = () => { frames += 1; %s; performance.now() < end ? requestAnimationFrame(step) : done(frames); };
  requestAnimationFrame(step);
})"""
PAN = (
    "document.querySelector('#traffic').dispatchEvent("
    "new KeyboardEvent('keydown', {key: ['ArrowLeft', 'ArrowRight', '+', '-'][frames % 4]}))"
)


def frames() -> None:
    rows = []
    with workshop() as folder, live_daemon(folder / "home") as daemon, chromium() as open_tab:
        reports = Reports(daemon)
        for _ in range(30):
            reports.report()
        for name, view, moving in (
            ("at rest", "", ""), ("with all trails", "#trails=1", ""),
            ("Europe, trails, labels", "#trails=1&at=48,8,5", ""), ("moved all the time", "#at=48,8,3", PAN),
        ):  # fmt: skip
            tab = open_tab()
            tab.look_as(1920, 1080)
            open_map(tab, daemon, daemon.api_key(), view)
            tab.call("Performance.enable", timeDomain="threadTicks")
            with reports.going_on():
                before = metrics(tab)
                count = tab.evaluate(FRAMES % (20_000, moving))
                after = metrics(tab)
            spent = {each: (after[each] - before[each]) * 1000 / count for each in ("ScriptDuration", "TaskDuration")}
            picture = float(tab.evaluate("document.querySelector('#traffic').dataset.drawMs"))
            script, task = spent["ScriptDuration"], spent["TaskDuration"]
            rows.append([name, count / 20, script, task, 1000 / task, picture])
            tab.call("Page.close")
    columns = [
        "",
        "frames/s",
        "script, ms",
        "main thread, ms",
        "frames/s that it could draw",
        "script of a picture, ms",
    ]
    table("2,000 aircraft, 1920 x 1080, 20 s with a report in them; a frame's mean", columns, rows)


def memory(minutes: float) -> None:
    with workshop() as folder, live_daemon(folder / "home") as daemon, chromium() as open_tab:
        reports = Reports(daemon)
        tab = open_tab()
        tab.look_as(1280, 800, is_calm=minutes > 0)
        open_map(tab, daemon, daemon.api_key(), "#trails=1")
        tab.call("Performance.enable")
        rows = [["begin", *_heap(tab)]]
        count = round(minutes * 60 / REPORT_SECONDS) or REPORTS_AN_HOUR
        for number in range(1, count + 1):
            began = time.monotonic()
            reports.report()
            tab.listen(max(0.05, began + REPORT_SECONDS - time.monotonic()) if minutes else 0.05)
            if number % max(1, count // 6) == 0:
                tab.wait_for(f"{COUNT} === {FLIGHTS}")
                rows.append([f"{number} reports", *_heap(tab)])
                print(rows[-1], flush=True)
    table("The map's heap, MB (10^6)", ["", "before a collection", "after it", "elements of the page"], rows)


def _heap(tab: Tab) -> list[float]:
    before = metrics(tab)["JSHeapUsedSize"]
    tab.call("HeapProfiler.collectGarbage")
    after = metrics(tab)
    return [before / 1e6, after["JSHeapUsedSize"] / 1e6, after["Nodes"]]


# What the pages cost the daemon.


def trails() -> None:
    with workshop() as folder, live_daemon(folder / "home", config=LIMITS) as daemon:
        reports = Reports(daemon)
        began_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        for _ in range(30):
            reports.report()
            time.sleep(1)
        key = daemon.api_key()
        urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/healthz", timeout=60).close()
        rows = []
        flights = [None, *[flight["flight_uid"] for flight in reports._traffic.flights[:5]]]
        for flight in flights:
            query = f"?since={began_at}" + (f"&flight_uid={flight}" if flight else "")
            request = urllib.request.Request(
                f"http://127.0.0.1:{daemon.port}/map/trails{query}",
                headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "gzip"},
            )
            cpu, began = cpu_seconds(daemon.info.pid), time.perf_counter()
            with urllib.request.urlopen(request, timeout=60) as answer:
                body = answer.read()
            elapsed = 1000 * (time.perf_counter() - began)
            rows.append(
                [
                    f"flight {flight}" if flight else "all",
                    elapsed,
                    1000 * (cpu_seconds(daemon.info.pid) - cpu),
                    len(body),
                ]
            )
    table("Trails of history", ["", "ms", "ms of the daemon's CPU", "bytes on the wire"], rows)


def ops(connections: int, seconds: float, rounds: int) -> None:
    subscribe = '{"action":"subscribe","channels":["flight.*"],"filters":{"airports":["KJFK"]}}'
    with workshop() as folder, chromium() as open_tab:
        daemon = Daemon(folder)
        receiver = Receiver(compiled("receiver.c", folder), daemon, connections, messages=[subscribe])
        try:
            _, opened = receiver.opened()
            tab = open_tab()
            tab.look_as(1440, 900)
            tab.open(f"http://127.0.0.1:{daemon.port}/ops")
            tab.wait_for("document.querySelector('#sign-in').open")
            tab.type(daemon.control.call("dashboard_token")["token"])
            tab.press("Enter")
            tab.wait_for(LIVE)
            rows = []
            for name in ("nobody looks", "the page is open") * rounds:
                if name == "nobody looks":
                    tab.call("Page.navigate", url="about:blank")
                else:
                    tab.call("Page.bringToFront")
                    tab.open(f"http://127.0.0.1:{daemon.port}/ops")
                    tab.wait_for(f"{LIVE} && document.querySelector('#connections tbody')")
                time.sleep(2)
                cpu = cpu_seconds(daemon.process.pid)
                tab.listen(seconds)
                rows.append([name, 100 * (cpu_seconds(daemon.process.pid) - cpu) / seconds])
        finally:
            receiver.stop()
            daemon.end()
    table(f"The daemon with {opened:,} connections, {seconds:g} s each", ["", "% of a core"], rows)


def maps(count: int, rounds: int) -> None:
    rows = []
    seconds = 2 * REPORT_SECONDS
    config = f"[tiers.developer]\nconnections = {4 * count}\nrequests_per_minute = 100000\n"
    with workshop() as folder, live_daemon(folder / "home", config=config) as daemon, chromium() as open_tab:
        reports, key = Reports(daemon), daemon.api_key()

        def measured(name: str) -> None:
            time.sleep(3)
            cpu, delivered = cpu_seconds(daemon.info.pid), daemon.call("status")["deliveries"]
            for _ in range(4):
                began = time.monotonic()
                reports.report()
                time.sleep(max(0.0, began + seconds / 4 - time.monotonic()))
            spent = 1000 * (cpu_seconds(daemon.info.pid) - cpu) / 4
            rows.append([name, spent, (daemon.call("status")["deliveries"] - delivered) / 4])

        for _ in range(rounds):
            measured("nobody")
            with ExitStack() as stack:
                tabs = [open_tab() for _ in range(count)]
                for tab in tabs:
                    stack.callback(tab.call, "Page.close")
                    tab.look_as(800, 600, is_calm=True)
                    open_map(tab, daemon, key)
                measured(f"{count} maps")
            asyncio.run(_subscribers(daemon, key, count, measured))
    table("The daemon's CPU of one report of 2,000 aircraft", ["", "ms", "deliveries"], rows)


async def _subscribers(daemon: LiveDaemon, key: str, count: int, measured: Callable[[str], None]) -> None:
    clients: list[CountingClient] = [await open_websocket(daemon.url, key, is_compressed=True) for _ in range(count)]
    for client in clients:
        done = client.expect(b'"subscribed"')
        client.say(action="subscribe", channels=["flight.*", "tmi.*"])
        await asyncio.wait_for(done, 30)
    await asyncio.to_thread(measured, f"{count} subscribers")
    for client in clients:
        client.transport.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="first,frames,memory,trails,ops,maps")
    parser.add_argument("--minutes", type=float, default=0.0, help="length of the memory test by the clock")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="length of each measurement of ops: heartbeats come every 30 s"
    )
    options = parser.parse_args()
    for name in options.only.split(","):
        match name:
            case "first":
                first(2 * options.rounds + 1)
            case "frames":
                frames()
            case "memory":
                memory(options.minutes)
            case "trails":
                trails()
            case "ops":
                ops(options.connections, options.seconds, options.rounds)
            case "maps":
                maps(20, options.rounds)
            case _:
                parser.error(f"there is no {name}")


if __name__ == "__main__":
    main()
