"""A read that fails is never taken for damage, of whatever file, however often it fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.disk import failing_reads
from support.disk.preload import MAP_BYTES, compile_library, find_compiler
from support.packages import missing, require_program
from swim_server.brokers.history import History
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.events import NewEvent

pytestmark = pytest.mark.unmeasured


def make_history(path: Path) -> None:
    history = History(path, clock=SYSTEM_CLOCK, retention=failing_reads.KEPT)
    history.open()
    for call in range(10):
        names = [f"{call}-{number}" for number in range(40)]
        history.append([[NewEvent(type="flight.created", data={"x": "x" * 90}, event_id=name) for name in names]])
    history.close()


def make_keys(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE swim_api_keys (id INTEGER PRIMARY KEY, api_key TEXT UNIQUE)")
        connection.executemany("INSERT INTO swim_api_keys (api_key) VALUES (?)", [(f"{n:050}",) for n in range(500)])


@pytest.mark.parametrize("share", ["0.02", "0.25"])
def test_a_read_that_fails_is_never_taken_for_damage(tmp_path: Path, share: str) -> None:
    if not sys.platform.startswith("linux"):
        missing("the preloaded library needs Linux")
    if find_compiler() is None:
        require_program("gcc", "gcc")
    history, keys, faults = tmp_path / "history.db", tmp_path / "swim.db", tmp_path / "faults"
    make_history(history)
    make_keys(keys)
    faults.write_bytes(bytes(MAP_BYTES))
    environ = {
        **os.environ, "LD_PRELOAD": str(compile_library("faults", tmp_path)), "SWIM_DISK_FAULTS": str(faults),
        "SWIM_DISK_SEED": "20261127",
    }  # fmt: skip
    words = [sys.executable, failing_reads.__file__, str(history), str(keys), share]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said.pop("struck")["struck"] > failing_reads.ATTEMPTS
    assert not {name: told for name, told in said.items() if told.get("damaged")}
    assert said.pop("checkpoint") == {"sound": failing_reads.ATTEMPTS}, "it is read until it could be"
    assert all(told.get("trouble") for told in said.values())
    assert list(tmp_path.glob("*damaged*")) == []
