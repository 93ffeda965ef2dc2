"""A real PostgreSQL server for tests: its own folder and port, ended with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from support.packages import missing, require_program

START_SECONDS = 60
USER = "postgres"
"""The server refuses to run as root; Debian's package brings this user."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server during a ``with``; yield its SQLAlchemy URL. Skips if there is none."""
    programs = _programs()
    user = USER if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="swim-pg-"))
    try:
        if user is not None:
            shutil.chown(folder, user, user)
        data = folder / "data"
        initdb: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]
        subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True, timeout=120)
        port = _free_port()
        words = ["-D", str(data), "-p", str(port), "-k", str(folder)]
        words += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", *words], user=user, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            _await_server(server, port, folder / "log")
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _programs() -> Path:
    found = _newest()
    if found is None:
        require_program("pg_ctlcluster", "postgresql")
        found = _newest()
    return found or missing("PostgreSQL's server is not installed: apt-get install postgresql")


def _newest() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def _await_server(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError as error:
            told = log.read_text("utf-8", "replace")[-1000:]
            assert server.poll() is None, f"PostgreSQL ended: {told}"
            assert time.monotonic() < deadline, f"PostgreSQL does not answer: {error}\n{told}"
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
