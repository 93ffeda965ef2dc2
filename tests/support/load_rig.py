"""What the load benchmarks share: servers on one core, a receiver in C on the other, rounds, medians, a table."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile

from swimctl.client.control import ControlClient
from swimctl.invocation import Invocation
from swimctl.key_access import open_store

ROOT = Path(__file__).parents[2]
LOAD = Path(__file__).parents[1] / "load"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""Of every upgrade: one answer fits all."""
TEN, NINETEEN = 10**9, 10**18
CONNECTIONS_PER_ADDRESS = 20_000
NATS = ("scan", 'CONNECT {"verbose":false,"no_responders":false,"headers":false}', "SUB flight 1", "PING")


def paths(tree: Path) -> tuple[Path, ...]:
    """Return what a process of this checkout imports from."""
    return tree, tree / "server", tree / "sdk" / "python"


def compiled(source: str, folder: Path) -> Path:
    """Compile one of the C programs; says what is missing if that is impossible."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise SystemExit("the load benchmarks need a C compiler: apt-get install gcc libc6-dev")
    program = folder / Path(source).stem
    subprocess.run([compiler, "-O2", "-o", str(program), str(LOAD / source)], check=True)
    return program


def pinned(core: int | None) -> list[str]:
    """Return the words that pin a command to one core, if there are several.

    None: it may use all cores, in a session of its own, as Linux shares a core out between sessions first: what is
    started from one terminal would have one share together.
    """
    if core is None:
        return ["setsid"] if shutil.which("setsid") else []
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


class Server:
    """Something that listens and sends events on request. ``orders``: its standard input."""

    def __init__(self, name: str, process: subprocess.Popen[str], port: int, path: str = "/", key: str = "") -> None:
        self.name = name
        self.port = port
        self.path = path
        self.key = key
        self.process = process
        self.usage = psutil.Process(process.pid)
        self.sequence = 1
        self.speaks: Sequence[str] = ()
        """What a client of it must send after the upgrade."""

    def send(self, count: int, size: int) -> None:
        """Send events to every client; returns before they have arrived."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"send {self.sequence} {count} {size}\n")
        self.process.stdin.flush()
        self.sequence += count

    def cpu_seconds(self) -> float:
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        return int(self.usage.memory_info().rss)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


class Daemon(Server):
    """The whole service, with history, in its own home."""

    def __init__(self, folder: Path, *, arguments: Sequence[str] = (), core: int | None = 0, tree: Path = ROOT) -> None:
        """Start it. ``tree``: the checkout whose code it runs."""
        self.home = Path(tempfile.mkdtemp(dir=folder, prefix="home-"))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SWIM_")}
        environ |= {"SWIM_HOME": str(self.home), "PYTHONPATH": os.pathsep.join(map(str, paths(tree)))}
        config = self.home / "swim.toml"
        config.write_text("")
        self.log = (self.home / "swim.log").open("w")
        words = [
            *pinned(core),
            sys.executable,
            "-m",
            "swimctl",
            "--config",
            str(config),
            "serve",
            "--port",
            "0",
            *arguments,
        ]
        process = subprocess.Popen(words, env=environ, stdout=self.log, stderr=self.log, text=True)
        url = self._url(process)
        invocation = Invocation(config_path=config, environ=environ)
        from swim_server.keys.audit import operating_user
        from swim_server.keys.format import Tier
        from swim_server.keys.new_key import NewKey

        with open_store(invocation) as store:
            key = store.create(NewKey(tier=Tier.SYSTEM, owner_name="load"), operating_user()).api_key
        port, path = url.removeprefix("ws://127.0.0.1:").split("/", 1)
        super().__init__("swim", process, int(port), f"/{path}", key)
        self.control = ControlClient.connect(invocation.home)

    def _url(self, process: subprocess.Popen[str]) -> str:
        lockfile = Lockfile(Home(self.home).lockfile)
        for _ in range(600):
            info = lockfile.read()
            if info is not None and info.url:
                return info.url
            if process.poll() is not None:
                raise SystemExit((self.home / "swim.log").read_text())
            time.sleep(0.05)
        raise SystemExit("the daemon did not start")

    def send(self, count: int, size: int) -> None:
        self.publish([self._event(number, size) for number in range(count)])

    def _event(self, number: int, size: int) -> dict[str, Any]:
        padding = "x" * max(size - 190, 1)
        at = NINETEEN + time.monotonic_ns()
        data = {"dep": "KJFK", "route": padding, "seq": TEN + self.sequence + number, "at": at}
        return {"type": "flight.created", "data": data}

    def publish(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Store events; returns when they are stored."""
        self.control.call("publish", {"events": list(events)})
        self.sequence += len(events)

    def status(self) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self.control.call("status")
        return document

    def end(self) -> None:
        self.control.close()
        super().end()
        self.log.close()


def peer(name: str, words: Sequence[str], *, core: int | None = 0, **environment: str) -> Server:
    """Run a server that prints its port and takes orders on standard input."""
    process = subprocess.Popen(
        [*pinned(core), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    port, *other_pid = process.stdout.readline().split()
    server = Server(name, process, int(port))
    if other_pid:
        server.usage = psutil.Process(int(other_pid[0]))
    return server


def python_peer(name: str, kind: str) -> Server:
    return peer(name, [sys.executable, str(LOAD / "peers.py"), kind])


def node_peer() -> Server | None:
    """Run Node.js' ws; None if it isn't installed."""
    node = shutil.which("node")
    found = subprocess.run(["npm", "root", "-g"], check=False, capture_output=True, text=True) if node else None
    root = found.stdout.strip() if found is not None else ""
    if node is None or not (Path(root) / "ws").exists():
        return None
    folder = Path(tempfile.mkdtemp())
    shutil.copy(LOAD / "peer_ws.mjs", folder)
    (folder / "node_modules").symlink_to(root)
    return peer("node ws", [node, str(folder / "peer_ws.mjs")])


def nats_peer() -> Server | None:
    """Run a NATS server with its WebSocket listener; None if it isn't installed."""
    if shutil.which("nats-server") is None:
        return None
    server = peer("NATS", [sys.executable, str(LOAD / "peer_nats.py")])
    server.speaks = NATS
    return server


class Receiver:
    """The C program that connects, subscribes, counts and measures."""

    def __init__(
        self,
        program: Path,
        server: Server,
        connections: int,
        *,
        in_flight: int = 64,
        messages: Sequence[str] = (),
        answers: int | None = None,
        headers: Sequence[str] = (),
        core: int | None = 1,
        ports: Sequence[int] = (),
    ) -> None:
        """Connect to the server; to ``ports`` in turn if they are given."""
        is_ours = isinstance(server, Daemon)
        head = [f"GET {server.path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *headers]  # fmt: skip
        if server.key:
            head.append(f"Authorization: Bearer {server.key}")
        asked = list(messages) if is_ours else list(server.speaks)
        expected = (1 + len(asked)) if answers is None else answers
        handle, name = tempfile.mkstemp()
        with os.fdopen(handle, "w") as file:
            file.write("\n".join([*head, "", *asked, f"answers {expected}", ""]))
        addresses = 1 + connections // CONNECTIONS_PER_ADDRESS
        port = ",".join(map(str, ports or [server.port]))
        words = [*pinned(core), program, "127.0.0.1", port, connections, in_flight, name, addresses]
        self._process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._name = name

    def opened(self) -> tuple[float, int]:
        """Wait until all are open and subscribed; return the seconds, and how many."""
        _, seconds, count = self._line().split()
        return float(seconds), int(count)

    def expect(self, events: int) -> None:
        """Begin to wait for this many more events on every connection."""
        self._say(f"count {events}")
        line = self._line()
        assert line.startswith("counting"), line

    def counted(self) -> None:
        """Wait until they have arrived."""
        line = self._line()
        assert line.startswith("counted"), line

    @property
    def pid(self) -> int:
        return self._process.pid

    def reset(self) -> None:
        self._say("reset")

    def stop(self) -> dict[str, Any]:
        """End it; return its measurements."""
        self._say("stop")
        found: dict[str, Any] = json.loads(self._line())
        self._process.wait()
        Path(self._name).unlink()
        return found

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """Provide a folder for compiled and written files, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="swim-load-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    for row in rows:
        print("| " + " | ".join(_shown(cell) for cell in row) + " |", flush=True)


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
