"""Live displays and long work on a real terminal: keys, suspend and resume, size, progress; and it is restored."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import Daemon, end_all
from support.live_daemon import LiveDaemon, live_daemon
from support.terminal import Terminal

PICTURES = [["tail"], ["top"], ["status", "--watch"]]
REPORT = ["doctor", "--only", "config", "--watch"]
FOOT = re.compile(r"q quit")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("t") / "h", sources=["simulator?flights=50&speed=60"]) as daemon:
        yield daemon


def is_drawn(terminal: Terminal) -> bool:
    return terminal.is_on_second_screen and FOOT.search(terminal.text) is not None


def is_left_as_found(terminal: Terminal) -> bool:
    return not terminal.is_on_second_screen and terminal.has_cursor and terminal.modes_now == terminal.modes


@pytest.mark.parametrize(
    ("words", "key"),
    [*((words, "q") for words in PICTURES), (PICTURES[0], "\x1b")],
    ids=[*map(" ".join, PICTURES), "escape"],
)
def test_q_ends_a_picture(daemon: LiveDaemon, words: list[str], key: str) -> None:
    with Terminal(words, daemon.environ) as terminal:
        terminal.read_until(is_drawn)
        terminal.type(key)
        assert terminal.end() == 0
        assert is_left_as_found(terminal)


@pytest.mark.parametrize("words", PICTURES, ids=" ".join)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=str)
def test_signal_leaves_the_terminal_as_it_was(daemon: LiveDaemon, words: list[str], how: signal.Signals) -> None:
    with Terminal(words, daemon.environ) as terminal:
        terminal.read_until(is_drawn)
        terminal.process.send_signal(how)
        assert terminal.end() == 128 + how
        assert is_left_as_found(terminal)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
@pytest.mark.parametrize("words", [*PICTURES, REPORT], ids=" ".join)
def test_stopped_picture_gives_the_terminal_back_and_takes_it_again(daemon: LiveDaemon, words: list[str]) -> None:
    with Terminal([], daemon.environ, more={"PS1": "ready> "}) as terminal:
        terminal.read_until(lambda t: "ready>" in t.text)
        modes = terminal.modes_now
        terminal.type(f"{sys.executable} -m swimctl {' '.join(words)}\n")
        terminal.read_until(is_drawn)
        terminal.type("\x1a")
        terminal.read_until(lambda t: "Stopped" in t.text and not t.is_on_second_screen and t.has_cursor)
        terminal.read_until(lambda t: t.modes_now == modes)  # once the shell reads its next line
        terminal.forget()
        terminal.type("fg\n")
        terminal.read_until(is_drawn)
        terminal.forget()
        terminal.type("q")
        terminal.read_until(lambda t: "ready>" in t.text)
        assert not terminal.is_on_second_screen and terminal.has_cursor
        terminal.read_until(lambda t: t.modes_now == modes)


def test_help_says_what_the_numbers_count(daemon: LiveDaemon) -> None:
    for words, told in ((["tail"], "without this one"), (["top"], "bytes waiting because")):
        with Terminal(words, daemon.environ) as terminal:
            terminal.read_until(is_drawn)
            terminal.type("?")
            terminal.read_until(lambda t, told=told: told in t.text)  # type: ignore[misc]  # mypy takes a default of a lambda for no type


def test_picture_follows_the_size_of_its_terminal(daemon: LiveDaemon) -> None:
    with Terminal(["tail", "flight.*"], daemon.environ) as terminal:
        terminal.read_until(lambda t: re.search(r"\d\d:\d\d:\d\d", t.text) is not None)
        terminal.forget()
        terminal.resize(40, 160)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.read_until(lambda t: re.search(r"WHAT HAPPENED +ID", t.text) is not None)


def test_report_that_waits_for_its_next_run_follows_the_size_of_its_terminal(daemon: LiveDaemon) -> None:
    with Terminal([*REPORT, "--interval", "300"], daemon.environ, rows=5) as terminal:
        terminal.read_until(is_drawn)
        terminal.forget()
        terminal.resize(40, 160)
        terminal.read_until(lambda t: FOOT.search(t.text) is not None)


def test_no_color_leaves_bold_and_takes_colour(daemon: LiveDaemon) -> None:
    for environ, bold, colour in (({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False)):
        with Terminal(["keys", "list"], daemon.environ, more=environ) as terminal:
            daemon.api_key()
            assert terminal.end() == 0
            assert ("\x1b[1m" in terminal.drawn, re.search(r"\x1b\[[0-9;]*3[0-9]m", terminal.drawn) is not None) == (
                bold, colour,
            )  # fmt: skip


def test_dumb_terminal_gets_lines_instead_of_pictures(daemon: LiveDaemon) -> None:
    for words in (["tail", "--count", "2"], ["top", "--count", "1"], ["status"]):
        with Terminal(words, daemon.environ, more={"TERM": "dumb"}) as terminal:
            assert terminal.end() == 0
            assert "\x1b" not in terminal.drawn


def test_explanation_at_80_columns_begins_with_the_outcome_and_has_whole_ids(daemon: LiveDaemon) -> None:
    key = daemon.make_key()
    url = daemon.status()["url"]
    words = [sys.executable, "-m", "swimctl", "tail", "--url", url, "flight.*"]
    environ = daemon.environ | {"SWIM_API_KEY": key.api_key}
    watchers = [subprocess.Popen(words, env=environ, stdout=subprocess.PIPE) for _ in range(2)]
    for watcher in watchers:
        assert watcher.stdout is not None
        assert watcher.stdout.readline()
    daemon.swimctl("tail", "flight.*", "--count", "1", check=True)
    shown = daemon.swimctl("tail", "flight.*", "--last", "1", "--no-follow", "--json", check=True).stdout
    event_id = json.loads(shown)["id"]
    with Terminal(["explain", event_id, "--key", str(key.record.id)], daemon.environ) as terminal:
        assert terminal.end() == 0
        lines = [line for line in terminal.text.replace("\r", "").split("\n") if line]
    for watcher in watchers:
        with watcher:
            watcher.kill()
    assert lines[0].startswith(("sent", "not sent", "not known"))
    assert any(re.fullmatch(r"2 connections: .*", line.strip()) for line in lines)
    assert len(re.findall(r"client_[0-9a-f]{16}", terminal.text)) == 2
    assert max(map(len, lines)) <= 80


def test_list_of_connections_has_not_the_one_that_asks(daemon: LiveDaemon) -> None:
    assert json.loads(daemon.swimctl("connections", "list", "--json", check=True).stdout) == []
    watching = daemon.spawn("tail", "--json")
    assert watching.stdout is not None
    watching.stdout.readline()
    found = json.loads(daemon.swimctl("connections", "list", "--json", check=True).stdout)
    assert [one["tier"] for one in found] == ["local"]
    watching.kill()


def test_tail_of_a_stopped_service_says_stopped_and_comes_back(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "h").start()
    port = int(daemon.url.rpartition(":")[2].partition("/")[0])
    try:
        with Terminal(["tail"], daemon.environ) as terminal:
            terminal.read_until(is_drawn)
            daemon.swimctl("stop", check=True)
            terminal.read_until(lambda t: "○ stopped; trying again" in t.text)
            assert "retry_ms" not in terminal.text
            terminal.forget()
            assert daemon.process is not None
            daemon.process.wait(20)
            daemon.start(port=port)
            terminal.read_until(lambda t: "● live" in t.text)
    finally:
        end_all(daemon)


# Long work.


def test_bar_is_shown_on_a_terminal_alone_and_gone_when_the_work_is_done(daemon: LiveDaemon, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    row = {"type": "system.notice", "data": {"text": "x" * 100}}
    events.write_text("".join(json.dumps(row) + "\n" for _ in range(30_000)), "utf-8")
    ids = tmp_path / "ids"
    words = ["sh", "-c", f'exec "$@" > {ids}']
    with Terminal(["publish", "--file", str(events)], daemon.environ, through=words) as terminal:
        assert terminal.end(120) == 0
    assert re.search(r"publishing [\d,]+ events [\d,]+/s", terminal.text)
    assert terminal.text.replace("\r", "").rstrip().endswith("30,000 stored")
    assert terminal.drawn.rfind("\x1b[2K") > terminal.drawn.rfind("/s")
    assert len(ids.read_text("utf-8").splitlines()) == 30_000
    piped = daemon.swimctl("publish", "--file", str(events), check=True)
    assert piped.stderr == ""


def test_interrupted_work_says_how_far_it_came(daemon: LiveDaemon, tmp_path: Path) -> None:
    target = tmp_path / "slow.jsonl"
    words = ["replay", "--from", "1m", "--speed", "0.5", "--output", str(target)]
    with Terminal(words, daemon.environ) as terminal:
        terminal.read_until(lambda t: re.search(r"replaying [\d,]+ events", t.text) is not None)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        assert re.search(r"interrupted: [\d,]+ events", terminal.text)
    assert target.stat().st_size > 0


# Loading a service.


def test_bench_leaves_the_running_service_alone_unless_it_is_asked_for(daemon: LiveDaemon) -> None:
    small = ("bench", "--clients", "2", "--duration", "0.5", "--rate", "10", "--json")
    told = json.loads(daemon.swimctl(*small, check=True).stdout)
    assert told["url"] != daemon.status()["url"]
    asked = daemon.swimctl(*small, "--running")
    assert asked.returncode == 2
    assert "its history keeps them. Can't ask" in asked.stderr
    agreed = json.loads(daemon.swimctl(*small, "--running", "--yes", check=True).stdout)
    assert agreed["url"] == daemon.status()["url"]
    assert daemon.swimctl(*small, "--running", "--temporary").returncode == 2


def test_event_that_clients_can_make_nothing_of_is_published_only_by_force(daemon: LiveDaemon) -> None:
    refused = daemon.swimctl("publish", "flight.created", "--data", "{}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines() == [
        "error: --data: flight.created has no callsign", 'add it: {"callsign": "…"}; or publish it anyway with --force',
    ]  # fmt: skip
    assert daemon.swimctl("publish", "flight.created", "--data", "{}", "--force").returncode == 0
    assert daemon.swimctl("publish", "flight.created", "--data", '{"callsign": null}').returncode == 0
    assert "no program_type and no airport" in daemon.swimctl("publish", "tmi.issued", "--data", "{}").stderr


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["logs", "-n", "2"], {"line"}),
        (["db", "upgrade"], {"added"}),
        (["db", "upgrade", "--sql"], {"sql"}),
        (["config", "check"], {"ok", "files"}),
        (["reload"], {"changed", "needs_restart"}),
        (["replay", "--from", "1s", "--speed", "0", "--output", "FILE"], {"played", "output", "into"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_json_is_offered_and_stands_alone(
    daemon: LiveDaemon, tmp_path: Path, words: list[str], fields: set[str]
) -> None:
    if words[0] == "logs":
        (daemon.home / "swim.log").write_text("one line\ntwo\n", "utf-8")
    done = daemon.swimctl(*[str(tmp_path / "f") if word == "FILE" else word for word in words], "--json", check=True)
    for line in done.stdout.splitlines():
        assert json.loads(line).keys() >= fields


def test_end_of_a_service_as_json(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "h").start()
    pid = daemon.status()["pid"]
    done = daemon.swimctl("stop", "--json", check=True)
    end_all(daemon)
    assert json.loads(done.stdout) == {"pid": pid, "stopped": True, "graceful": True}
