"""The service as others deploy it: laid out like an App Service, and as a container image."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.debian_root import DebianRoot, copy_project, debian_root, debian_tree, plain_environ
from support.live_daemon import await_true
from support.packages import INSTALL_SECONDS, missing, require_program
from support.proxy import free_port
from support.wire_client import dial

pytestmark = [pytest.mark.long, pytest.mark.slow]
GRACE_SECONDS = 30
START_SECONDS = 60


@pytest.fixture
def machine() -> Iterator[DebianRoot]:
    with debian_root() as root:
        yield root


def test_what_is_mounted_for_a_command_goes_with_it_even_if_it_is_killed(machine: DebianRoot) -> None:
    """Nobody cleans up after a run of tests that is killed."""
    process = subprocess.Popen(machine.words("sleep", "60"))
    try:
        await_true(lambda: Path(f"/proc/{process.pid}/comm").read_text("utf-8").strip() == "sleep", what="the command")
        assert str(machine.folder) not in Path("/proc/self/mounts").read_text("utf-8")
        assert " /proc proc " in Path(f"/proc/{process.pid}/mounts").read_text("utf-8")
    finally:
        process.kill()
        process.wait()
    assert not list((machine.folder / "proc").iterdir()), "nothing of this machine is in the folder"


async def let_in(url: str, key: str) -> None:
    """Wait until a client with this key is let in."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError):
            async with dial(url, key):
                return
        assert time.monotonic() < deadline, "no clients are admitted"
        await asyncio.sleep(0.2)


async def test_an_app_service_starts_it_from_wwwroot_and_stops_it_within_the_grace(machine: DebianRoot) -> None:
    """The project in /home/site/wwwroot, its environment in antenv beside it, logs in /home/LogFiles."""
    site = machine.folder / "home" / "site" / "wwwroot"
    copy_project(site)
    machine.run("python3", "-m", "venv", "/home/site/wwwroot/antenv")
    machine.run("/home/site/wwwroot/antenv/bin/pip", "install", "--quiet", "/home/site/wwwroot")
    port = free_port()
    environ = {**plain_environ(), "HOME": "/home", "PORT": str(port), "WEBSITE_INSTANCE_ID": "fedcba9876543210"}
    service = subprocess.Popen(
        machine.words("bash", "-c", "cd /home/site/wwwroot && exec bash config/azure/startup.sh"), env=environ
    )
    try:
        keys = ("env", "SWIM_HOME=/var/lib/swim", "/home/site/wwwroot/antenv/bin/swimctl", "keys", "create", "--json")
        deadline = time.monotonic() + START_SECONDS
        while not (machine.folder / "var/lib/swim/swim.db").exists():
            assert service.poll() is None and time.monotonic() < deadline, "it does not start"
            await asyncio.sleep(0.1)
        made = await asyncio.to_thread(machine.run, *keys, "--tier", "developer", "--owner", "a")
        key, url = json.loads(made.stdout)["api_key"], f"ws://127.0.0.1:{port}/api/swim/v1/ws"
        await let_in(url, key)
        async with dial(url, key) as client:
            service.send_signal(signal.SIGTERM)
            assert (await client.closed())[0] == 1012
        assert await asyncio.to_thread(service.wait, GRACE_SECONDS) == 0
        assert "connected" in (machine.folder / "home/LogFiles/swim-fedcba98.log").read_text("utf-8")
        assert not list((machine.folder / "home").rglob("*.db")), "no SQLite file on the network share"
    finally:
        service.kill()
        service.wait()


class Buildah:
    """Builds and runs without a daemon, in a store of its own; processes are isolated by chroot alone."""

    def __init__(self, store: Path) -> None:
        self._words = [
            require_program("buildah", "buildah"), "--storage-driver", "vfs", "--root", str(store / "root"),
            "--runroot", str(store / "run"),
        ]  # fmt: skip
        self._environ = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(store)}

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._words, *words], env=self._environ)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [*self._words, *words], env=self._environ, capture_output=True, text=True, check=False,
            timeout=3 * INSTALL_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"buildah {words[0]}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout.strip()


async def test_the_image_builds_and_serves_as_an_unprivileged_user() -> None:
    """On a base of Debian's own packages, as no registry of images is asked."""
    if os.geteuid() != 0:
        missing("building without a registry needs root")
    store = Path(tempfile.mkdtemp(prefix="swim-image-"))
    running: subprocess.Popen[bytes] | None = None
    try:
        buildah = Buildah(store)
        base = buildah("from", "scratch")
        buildah("copy", "--quiet", base, str(debian_tree()), "/")
        for trusted in ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):
            if Path(trusted).exists():
                buildah("copy", "--quiet", base, trusted, trusted)
        buildah("commit", "--quiet", base, "localhost/base")
        buildah("rm", base)
        project = store / "project"
        copy_project(project)
        file = str(project / "config/container/Containerfile")
        arguments = ["--build-arg", "BASE=localhost/base", "--network", "host", "--format", "docker"]
        buildah("build", *arguments, "-f", file, "-t", "localhost/swim", str(project))
        image = json.loads(buildah("inspect", "--type", "image", "localhost/swim"))["Docker"]["config"]
        assert (image["User"], image["StopSignal"]) == ("swim", "SIGTERM")
        container = buildah("from", "--pull-never", "localhost/swim")
        port = free_port()
        run = ("run", "--network", "host", "--env", f"SWIM_SERVER__PORT={port}", container, "--")
        running = buildah.popen(*run, "swimctl", "serve")
        health = image["Healthcheck"]["Test"][1:]
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(AssertionError):
                await asyncio.to_thread(buildah, *run, *health)
                break
            assert running.poll() is None and time.monotonic() < deadline, "it never becomes healthy"
        made = await asyncio.to_thread(
            buildah, *run, "swimctl", "keys", "create", "--tier", "developer", "--owner", "a", "--json"
        )
        await let_in(f"ws://127.0.0.1:{port}/api/swim/v1/ws", json.loads(made)["api_key"])
        assert await asyncio.to_thread(buildah, *run, "id", "-u") == "10001"
        assert await asyncio.to_thread(buildah, *run, "swimctl", "stop") is not None
        assert await asyncio.to_thread(running.wait, GRACE_SECONDS) == 0
    finally:
        if running is not None:
            running.kill()
            running.wait()
        shutil.rmtree(store, ignore_errors=True)
