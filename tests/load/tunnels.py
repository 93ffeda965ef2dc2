"""How many tunnels each proxy carries: with Debian's values, and with those of the files in ``config/``.

    python tests/load/tunnels.py [--tunnels 1500] [--seconds 10] [--proxies apache,nginx]

Opens that many through one proxy, in front of a service of its own, with TLS where the proxy ends it, and counts those
that are subscribed in the end. Memory is that of all the proxy's processes, per tunnel.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import uvloop
from support.live_daemon import LiveDaemon, live_daemon
from support.load_rig import table
from support.proxies import PROXIES
from support.proxy import HOST, Proxy
from support.tunnels import TunnelPool

CONFIG = "[tiers.system]\nconnections = 10000\nconnections_per_key = 10000\n"
DEBIANS = {
    "apache": (r"<IfModule mpm_event_module>.*?</IfModule>", ""),
    "nginx": (r"worker_connections \d+", "worker_connections 768"),
    "haproxy": (r"    maxconn \d+\n", ""),
    "lighttpd": (r"server\.max-(fds|connections) = \d+", ""),
}
"""What turns a file of ours into one with Debian's values. Caddy and Varnish have no limit in the way."""


def with_debians_values(kind: type[Proxy]) -> type[Proxy]:
    class Untuned(kind):  # type: ignore[misc, valid-type]  # a class whose base is chosen when it runs
        def shipped(self, name: str, changes: Mapping[str, str]) -> str:
            pattern, replacement = DEBIANS[self.name]
            text, count = re.subn(pattern, replacement, super().shipped(name, changes), flags=re.DOTALL)
            assert count, f"{name} has nothing like {pattern}"
            return text

    return Untuned


def proportional_set(proxy: Proxy) -> float:
    """Return the MiB of all the proxy's processes, counting shared memory once."""
    assert proxy.process is not None
    parent = psutil.Process(proxy.process.pid)
    return sum(each.memory_full_info().pss for each in [parent, *parent.children(recursive=True)]) / 2**20


def measure(daemon: LiveDaemon, kind: type[Proxy], tunnels: int, seconds: float) -> tuple[int, float, float]:
    """Return the tunnels open in the end, the seconds until then, and the proxy's KiB for each."""
    folder = Path(tempfile.mkdtemp(prefix="swim-proxy-"))
    folder.chmod(0o755)
    try:
        proxy = kind(folder, daemon.port)
        try:
            proxy.start()
            before = proportional_set(proxy)

            async def open_all() -> tuple[int, float, float]:
                tls = proxy.tls if proxy.has_tls else None
                async with TunnelPool(proxy.port, daemon.api_key("system"), tls=tls, host=HOST) as pool:
                    began = time.monotonic()
                    opened = await pool.open(tunnels, seconds=seconds)
                    took = time.monotonic() - began
                    return opened, took, 1024 * (proportional_set(proxy) - before) / max(opened, 1)

            return uvloop.run(open_all())
        finally:
            proxy.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tunnels", type=int, default=1_500)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long those that are not let in are waited for")
    parser.add_argument("--proxies", default=",".join(PROXIES))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, live_daemon(Path(folder) / "home", config=CONFIG) as daemon:
        for name in options.proxies.split(","):
            kinds = {"ours": PROXIES[name]}
            if name in DEBIANS:
                kinds = {"Debian's": with_debians_values(PROXIES[name]), **kinds}
            for values, kind in kinds.items():
                opened, took, kib = measure(daemon, kind, options.tunnels, options.seconds)
                rows.append([name, values, options.tunnels, opened, f"{took:.1f}", f"{kib:.0f}"])
    command = shlex.join(["python", "tests/load/tunnels.py", *sys.argv[1:]])
    table(f"{command}, {date.today()}", ["proxy", "values", "asked", "open", "seconds", "KiB each"], rows)


if __name__ == "__main__":
    main()
