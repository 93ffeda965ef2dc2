"""The drop folder in a real daemon that is killed: every line once, whatever happens."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from support.daemon import Daemon

pytestmark = pytest.mark.unmeasured

SEED = 20260118
FILES, LINES = 12, 2_000


def drop(folder: Path, name: str, content: str) -> None:
    written = folder / f".{name}.writing"
    written.write_text(content)
    written.rename(folder / name)


def batch(number: int) -> str:
    """Lines that can be told apart; the first half of the files names its events."""
    lines = []
    for line in range(LINES):
        event = {"type": "splits.updated", "data": {"config_name": f"{number}-{line}"}}
        lines.append(json.dumps(event | ({"event_id": f"own {number} {line}"} if number % 2 else {})))
    lines.insert(LINES // 2, "no event")
    return "\n".join(lines)


def names(daemon: Daemon) -> Counter[str]:
    done = daemon.swimctl("tail", "splits.*", "--last", "100000", "--no-follow", "--json", check=True)
    return Counter(msgspec.json.decode(line)["data"]["config_name"] for line in done.stdout.splitlines())


def test_files_that_come_while_the_daemon_is_killed_are_published_once_and_in_order(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    folder = tmp_path / "in"
    folder.mkdir()
    daemon = Daemon(tmp_path / "home", sources=[f"drop:{folder}"]).start()
    try:
        for number in range(FILES):
            drop(folder, f"batch-{number}.jsonl", batch(number))
            if number % 3 == 2:
                time.sleep(rng.uniform(0, 0.3))
                daemon.kill()
                daemon.start()
        deadline = time.monotonic() + 60
        while [path for path in folder.iterdir() if path.suffix != ".rejected"]:
            assert time.monotonic() < deadline, sorted(path.name for path in folder.iterdir())
            time.sleep(0.05)
        expected = [f"{number}-{line}" for number in range(FILES) for line in range(LINES)]
        found = names(daemon)
        (status,) = daemon.status()["sources"]
    finally:
        daemon.kill()
    assert set(found.values()) == {1}
    assert list(found) == expected
    rejected = [msgspec.json.decode(line) for line in (folder / "batch-0.jsonl.rejected").read_bytes().splitlines()]
    assert [(one["line"], one["text"]) for one in rejected] == [(LINES // 2 + 1, "no event")]
    assert len(list(folder.glob("*.rejected"))) == FILES
    assert status["state"] == "running"
