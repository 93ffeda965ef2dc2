"""How long a start takes after ``kill -9`` with many events behind the last checkpoint of the state.

    python tests/load/start_after_kill.py --events 200000

Prints the seconds and the CPU until it listens, and until ``/readyz`` says that it is ready.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chaos_daemon import ChaosDaemon
from swim_server.daemon.home import Home

from swimctl.client.control import ControlClient

FLIGHTS = 5_000
BATCH = 1_000


def main() -> None:
    """Publish, kill, start, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="swim-start-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (Path(folder) / "feed").mkdir()
        daemon = ChaosDaemon(home, Path(folder) / "feed" / "events.json", with_clock=False)
        try:
            daemon.start()
            publish(home, events)
            daemon.kill()
            began = time.monotonic()
            daemon.start()
            tell(daemon, "listens", began)
            while not is_ready(daemon.port):
                time.sleep(0.1)
            tell(daemon, "ready", began)
        finally:
            daemon.close()


def publish(home: Path, count: int) -> None:
    """Publish events over the control socket."""
    with ControlClient.connect(Home(home), timeout=5) as control:
        for start in range(0, count, BATCH):
            rows = [{"callsign": f"C{number % FLIGHTS}"} for number in range(start, start + BATCH)]
            control.call("publish", {"events": [{"type": "flight.departed", "data": row} for row in rows]}, 60)


def tell(daemon: ChaosDaemon, what: str, began: float) -> None:
    """Print how long it took, and its cost."""
    assert daemon.pid is not None, "it has started"
    times = psutil.Process(daemon.pid).cpu_times()
    print(f"{what} after {time.monotonic() - began:.2f} s, {times.user + times.system:.2f} s of CPU", flush=True)


def is_ready(port: int) -> bool:
    """Ask ``/readyz``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return False


if __name__ == "__main__":
    main()
