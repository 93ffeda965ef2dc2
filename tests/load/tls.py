"""The cost of the service's own TLS: a connect and a delivery, in CPU of the daemon, compared with no TLS.

    python tests/load/tls.py [--clients 300] [--events 100] [--rounds 5]

Each connect is a full handshake (no session is resumed) and admits a client whose key is in the cache. Each event of
300 bytes goes to every client in a write of its own. CPU comes from the process's own accounting, so that other work of
the machine counts little.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import trustme
from support.live_daemon import LiveDaemon
from support.load_rig import table
from support.tunnels import TunnelPool

HOST = "swim.example.org"
CONFIG = "[tiers.system]\nconnections = 10000\n"
PAUSE_SECONDS = 0.01


@contextmanager
def our_daemon(name: str, server: str) -> Iterator[LiveDaemon]:
    with tempfile.TemporaryDirectory(prefix=f"swim-{name}-") as folder:
        daemon = LiveDaemon(Path(folder) / "home", config=f"[server]\n{server}\n{CONFIG}")
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.kill()
            daemon.finish()


async def measure(daemon: LiveDaemon, tls: ssl.SSLContext | None, clients: int, events: int) -> dict[str, float]:
    """Run one round against one daemon; return microseconds of CPU for a connect and for a delivery."""
    assert daemon.process is not None
    usage, key = psutil.Process(daemon.process.pid), daemon.api_key("system")
    async with TunnelPool(daemon.port, key, tls=tls, host=HOST) as warm_up:
        assert await warm_up.open(20) == 20
    async with TunnelPool(daemon.port, key, tls=tls, host=HOST) as pool:
        before, began = cpu(usage), time.monotonic()
        assert await pool.open(clients, seconds=120) == clients
        seconds, connect = time.monotonic() - began, cpu(usage) - before
        before = cpu(usage)
        for number in range(events):
            await asyncio.to_thread(daemon.put, ("tmi.issued", {"program_id": number, "reason": "x" * 180}))
            await asyncio.sleep(PAUSE_SECONDS)
        assert await pool.received(events, seconds=60) == {events: clients}
        delivery = cpu(usage) - before
    return {
        "connect": 1e6 * connect / clients,
        "connects": clients / seconds,
        "delivery": 1e6 * delivery / (clients * events),
    }


def cpu(usage: psutil.Process) -> float:
    times = usage.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swim-tls-")))
        authority = trustme.CA()
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        issued = authority.issue_cert(HOST)
        certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        key.chmod(0o600)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        servers = {
            "TLS": (f'tls_certificate = "{certificate}"\ntls_key = "{key}"', context),
            "plain": ("", None),
        }
        daemons = {name: stack.enter_context(our_daemon(name, lines)) for name, (lines, _) in servers.items()}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, (_, tls) in servers.items():
                found[name].append(asyncio.run(measure(daemons[name], tls, options.clients, options.events)))
    command = shlex.join(["python", "tests/load/tls.py", *sys.argv[1:]])
    columns = ("server", "CPU of a connect, µs", "connects/s", "CPU of a delivery, µs")
    names = ("connect", "connects", "delivery")
    rows = [[name, *(middle([each[what] for each in rounds]) for what in names)] for name, rounds in found.items()]
    table(f"{command}, {date.today()}, medians (least to most) of {options.rounds} rounds", columns, rows)


def middle(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
