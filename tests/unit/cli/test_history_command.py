"""``swimctl history``: info, check, salvage, on a history that a broker has written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.brokers import Listener, LocalRig, ids, numbered

from swimctl.app import run

Run = Callable[..., tuple[int, str, str]]
EVENTS = 20


@pytest.fixture
def published(tmp_path: Path) -> list[str]:
    """Fills the history of a home and closes it: the ids of its events."""

    async def fill() -> list[str]:
        home = tmp_path / "home"
        home.mkdir()
        broker = LocalRig(home).broker(check_after_seconds=60.0)
        await broker.open(Listener())
        found = [str(id) for id in ids(await broker.publish(numbered(0, EVENTS, named=True)))]
        await broker.close()
        return found

    return asyncio.run(fill())


@pytest.fixture
def swimctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command for that home: exit code, standard output, standard error."""
    monkeypatch.setenv("SWIM_HOME", str(tmp_path / "home"))

    def run_here(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return run_here


def damage(path: Path, number: int) -> None:
    """Flip a bit in the event of that number."""
    content = bytearray(path.read_bytes())
    content[content.index(f'number":{number}'.encode())] ^= 1
    path.write_bytes(content)


def test_info_shows_what_a_history_holds(swimctl: Run, published: list[str]) -> None:
    code, out, _ = swimctl("history", "info", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["events"], document["oldest_id"], document["newest_id"]) == (EVENTS, published[0], published[-1])
    code, out, _ = swimctl("history", "info")
    assert code == 0
    assert f"newest_id\t{published[-1]}\n" in out


def test_check_names_what_is_damaged_and_what_to_do(swimctl: Run, published: list[str], tmp_path: Path) -> None:
    code, out, _ = swimctl("history", "check", "--json")
    assert (code, json.loads(out)["sound"]) == (0, True)
    damage(tmp_path / "home" / "history.db", 7)
    code, out, told = swimctl("history", "check")
    assert code == 1
    assert f"damaged_events\t{published[7]}\n" in out
    assert "swimctl history salvage" in told


def test_salvage_recovers_the_rest_and_overwrites_nothing(swimctl: Run, published: list[str], tmp_path: Path) -> None:
    damaged, new = tmp_path / "home" / "history.db", tmp_path / "new.db"
    damage(damaged, 7)
    before = damaged.read_bytes()
    code, out, _ = swimctl("history", "salvage", str(damaged), "--output", str(new), "--json")
    document = json.loads(out)
    assert (code, document["events"]) == (0, EVENTS - 1)
    assert [gap["after"] for gap in document["gaps"] if gap["reason"] == "unreadable"] == [published[6]]
    assert damaged.read_bytes() == before
    assert json.loads(swimctl("history", "check", str(new), "--json")[1])["sound"]
    code, _, told = swimctl("history", "salvage", str(damaged), "--output", str(new))
    assert code == 1
    assert f"{new} already exists" in told


def test_history_that_is_not_there_is_told_with_its_path(swimctl: Run, tmp_path: Path) -> None:
    code, out, told = swimctl("history", "info")
    assert (code, out) == (1, "")
    assert f"there is no history at {tmp_path}/home/history.db" in told


def test_file_that_is_no_history_is_told_with_what_to_do(swimctl: Run, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("nonsense" * 1000, "utf-8")
    for verb in ("info", "check"):
        code, _, told = swimctl("history", verb, str(tmp_path / "a.db"))
        assert code == 1
        assert "swimctl history" in told
        assert "bug in swimctl" not in told
