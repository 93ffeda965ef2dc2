"""Publishing and watching from the command line, against a real daemon: nothing lost, nothing repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, running_daemon

from swimctl.app import run

Here = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for the tests that don't hurt it."""
    with running_daemon(tmp_path_factory.mktemp("events") / "home") as daemon:
        yield daemon


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that a test may kill."""
    with running_daemon(tmp_path / "home") as daemon:
        yield daemon


@pytest.fixture
def here(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs commands in this process, which spares their start: exit code, standard output, standard error."""
    monkeypatch.setenv("SWIM_HOME", str(daemon.home))
    monkeypatch.setenv("SWIM_CONFIG", str(daemon.config_path))
    monkeypatch.setenv("SWIM_API_KEY", "swim_dev_x")

    def swimctl(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return swimctl


def departure(number: int, origin: str = "KJFK", **more: Any) -> dict[str, Any]:
    data = {"callsign": f"T{number}", "dep": origin, "arr": "EGLL", "number": number}
    return {"type": "flight.departed", "data": data, **more}


def numbers_of(lines: str) -> list[int]:
    return [json.loads(line)["data"]["number"] for line in lines.splitlines()]


def read_lines(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    return "".join(process.stdout.readline() for _ in range(count))


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    """End a command; answers what it told on standard error."""
    if process.poll() is None:
        process.send_signal(number)
    return process.communicate(timeout=20)[1]


def wait_until_watching(daemon: Daemon) -> None:
    deadline = time.monotonic() + 30
    while not any(one["channels"] and not one["catching_up"] for one in daemon.connections):
        assert time.monotonic() < deadline, "nobody has subscribed"
        time.sleep(0.02)


def test_one_event_is_published_by_type_and_seen_with_its_id(daemon: Daemon) -> None:
    published = daemon.swimctl("publish", "tmi.issued", "--data", '{"airport": "KJFK", "program_type": "GS"}')
    assert published.returncode == 0
    (shown,) = daemon.swimctl("tail", "tmi.*", "--last", "1", "--no-follow").stdout.splitlines()
    assert shown.split("\t")[1:4] == ["tmi.issued", "GS", "KJFK"]
    assert shown.split("\t")[6] == published.stdout.strip()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["tmi.isued", "--data", "{}"], 2, "did you mean tmi.issued?"),
        (["tmi.issued", "--data", "{"], 2, "--data is not JSON"),
        (["tmi.issued", "--data", "[]"], 2, "--data must be an object"),
        (["tmi.issued"], 2, "publish takes either TYPE with --data JSON, or --file F"),
        (["--file", "-", "tmi.issued", "--data", "{}"], 2, "publish takes either"),
        (["--file", "/nonexistent"], 5, "there is no file /nonexistent"),
        (["--file", "/"], 1, "is a folder"),
        (["tmi.issued", "--data", "{}", "--force", "--timestamp", "soon"], 2, "not an RFC 3339 time"),
        (["system.heartbeat", "--data", "{}"], 2, "system.heartbeat is the service's own"),
    ],
)
def test_publish_that_can_not_be_is_told(here: Here, words: list[str], code: int, told: str) -> None:
    exit_code, out, error = here("publish", *words)
    assert (exit_code, out) == (code, "")
    assert told in error
    assert len(error.splitlines()) <= 2


def test_lines_are_published_in_order_and_their_ids_printed(daemon: Daemon) -> None:
    lines = "\n".join(json.dumps(departure(number)) for number in range(1200))
    done = daemon.swimctl("publish", "--file", "-", "--json", stdin=lines, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["type"] for row in rows] == ["flight.departed"] * 1200
    shown = daemon.swimctl("tail", "flight.departed", "--json", "--last", "1200", "--no-follow", check=True).stdout
    assert [json.loads(line)["id"] for line in shown.splitlines()] == [row["id"] for row in rows]
    assert numbers_of(shown) == list(range(1200))


def test_line_that_is_wrong_ends_it_with_what_stood_before_it_stored(daemon: Daemon) -> None:
    for bad in ("garbage", '{"type": "flight.departd", "data": {}}'):
        lines = "\n".join([json.dumps(departure(1)), json.dumps(departure(2)), bad, json.dumps(departure(3))])
        done = daemon.swimctl("publish", "--file", "-", stdin=lines)
        assert done.returncode == 1
        assert "line 3: " in done.stderr
        assert "2 events are stored" in done.stderr
        shown = daemon.swimctl("tail", "flight.departed", "--json", "--last", "2", "--no-follow").stdout
        assert [json.loads(line)["id"] for line in shown.splitlines()] == done.stdout.split()


def test_event_with_the_same_name_is_stored_once(daemon: Daemon) -> None:
    words = ("publish", "flight.departed", "--data", "{}", "--force", "--event-id", "mine", "--json")
    first, second = (json.loads(daemon.swimctl(*words, check=True).stdout) for _ in range(2))
    assert second == {**first, "duplicate": True}


def test_id_is_printed_as_soon_as_the_event_is_stored(daemon: Daemon) -> None:
    feeding = daemon.spawn("publish", "--file", "-")
    assert feeding.stdin is not None
    for number in range(3):
        feeding.stdin.write(json.dumps(departure(number)) + "\n")
        feeding.stdin.flush()
        assert "-" in read_lines(feeding, 1)
    told = end(feeding)
    assert feeding.returncode == 1
    assert told == "error: interrupted; 3 events are stored\n"


def test_reader_of_the_ids_that_goes_away_ends_it(daemon: Daemon) -> None:
    feeding = daemon.spawn("publish", "--file", "-")
    assert feeding.stdin is not None and feeding.stdout is not None
    feeding.stdout.close()
    feeding.stdin.write(json.dumps(departure(1)) + "\n")
    feeding.stdin.close()
    assert feeding.wait(20) == 1
    assert feeding.stderr is not None
    assert "has gone away" in feeding.stderr.read()
    feeding.stderr.close()


def test_publish_goes_on_over_kills_of_the_daemon(own_daemon: Daemon, tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    source.write_text("".join(json.dumps(departure(number)) + "\n" for number in range(6000)), "utf-8")
    feeding = own_daemon.spawn("publish", "--file", str(source), "--wait", "30")
    ids = []
    for number in range(3):
        ids += read_lines(feeding, 1000 if number else 500).split()
        own_daemon.kill()
        own_daemon.start()
    rest, told = feeding.communicate(timeout=60)
    ids += rest.split()
    assert (feeding.returncode, told) == (0, "")
    assert len(ids) == len(set(ids)) == 6000
    shown = own_daemon.swimctl("tail", "--json", "--no-follow", "--last", "10000").stdout
    assert numbers_of(shown) == list(range(6000))
    assert [json.loads(line)["id"] for line in shown.splitlines()] == ids


def test_publish_gives_up_on_a_daemon_that_stays_away(own_daemon: Daemon) -> None:
    feeding = own_daemon.spawn("publish", "--file", "-", "--wait", "0.5")
    assert feeding.stdin is not None
    feeding.stdin.write(json.dumps(departure(1)) + "\n")
    feeding.stdin.flush()
    read_lines(feeding, 1)
    own_daemon.kill()
    feeding.stdin.write(json.dumps(departure(2)) + "\n")
    feeding.stdin.flush()
    assert feeding.wait(20) == 1
    out, told = feeding.communicate()
    assert out == ""
    assert "the daemon is not running" in told and "1 event is stored" in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["flight.departd"], 2, "did you mean flight.departed?"),
        (["--bbox", "1,2,3"], 2, "--bbox: must be four numbers"),
        (["--bbox", "40,45,-70,-80"], 2, "north is above south"),
        (["--since", "yesterday"], 2, "--since: must be a duration like 10m"),
        (["--after", "x"], 2, "--after: not an event id"),
        (["--last", "1", "--since", "1m"], 2, "only one of --since, --after and --last"),
        (["--count", "0"], 2, "--count"),
        (["--airport", "K" * 200], 2, "airports"),
        (["--url", "http://x"], 2, "not a ws:// or wss:// address"),
        (["--url", "ws://127.0.0.1:1/"], 3, "nothing answers at ws://127.0.0.1:1/"),
    ],
)
def test_tail_that_can_not_be_is_told(here: Here, words: list[str], code: int, told: str) -> None:
    exit_code, out, error = here("tail", *words)
    assert (exit_code, out) == (code, "")
    assert told in error
    assert len(error.splitlines()) <= 2


def test_tail_as_a_client_needs_a_key_that_is_good(daemon: Daemon) -> None:
    missing = daemon.swimctl("tail", "--url", daemon.url)
    assert (missing.returncode, "SWIM_API_KEY is not set" in missing.stderr) == (2, True)
    refused = daemon.swimctl("tail", "--url", daemon.url, SWIM_API_KEY="swim_dev_hp_test")
    assert refused.returncode == 6
    assert "the key was refused" in refused.stderr


def test_tail_as_a_client_sees_what_the_control_socket_sees(daemon: Daemon) -> None:
    daemon.publish_many([departure(number) for number in range(5)])
    words = ("tail", "flight.departed", "--json", "--last", "5", "--count", "5")
    seen = daemon.swimctl(*words, "--url", daemon.url, SWIM_API_KEY=daemon.key(), check=True).stdout
    assert numbers_of(seen) == [0, 1, 2, 3, 4]
    assert seen == daemon.swimctl(*words, check=True).stdout


def test_tail_filters_as_its_options_say(daemon: Daemon) -> None:
    daemon.publish_many([departure(1, "KJFK"), departure(2, "KBOS"), departure(3, "EDDF"), departure(4, "KJFK")])
    words = ("tail", "flight.departed", "--json", "--no-follow", "--last", "3")
    seen = daemon.swimctl(*words, "--airport", "kjfk,KBOS", "--callsign", "T").stdout
    assert numbers_of(seen) == [1, 2, 4]
    assert numbers_of(daemon.swimctl(*words, "--airport", "EDDF", "--callsign", "T3").stdout)[-1:] == [3]


def test_tail_from_a_moment_or_an_event_shows_what_came_after_it(daemon: Daemon) -> None:
    ids = daemon.publish_many([departure(number) for number in range(10, 14)])
    words = ("tail", "flight.departed", "--json", "--no-follow")
    assert numbers_of(daemon.swimctl(*words, "--after", ids[1]).stdout) == [12, 13]
    since = daemon.swimctl(*words, "--since", "1h").stdout.splitlines()[-4:]
    assert numbers_of("\n".join(since)) == [10, 11, 12, 13]
    assert daemon.swimctl(*words, "--since", "0s").stdout == ""
    assert daemon.swimctl(*words, "--last", "0").stdout == ""


def test_tail_through_a_pipe_is_one_line_an_event_at_once(daemon: Daemon) -> None:
    watching = daemon.spawn("tail", "flight.departed")
    try:
        wait_until_watching(daemon)
        event_id = daemon.publish("flight.departed", callsign="DAL1", dep="KJFK", arr="EGLL")
        cells = read_lines(watching, 1).rstrip("\n").split("\t")
    finally:
        told = end(watching)
    assert cells[1:] == ["flight.departed", "DAL1", "KJFK", "EGLL", "-", event_id]
    assert (watching.returncode, told) == (130, "")


def test_tail_whose_reader_goes_away_ends_quietly(daemon: Daemon) -> None:
    daemon.publish_many([departure(number) for number in range(50)])
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m swimctl tail --last 50 | head -2"],
        env=daemon.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_tail_ends_on_signals(daemon: Daemon, number: signal.Signals) -> None:
    watching = daemon.spawn("tail")
    wait_until_watching(daemon)
    assert end(watching, number) == ""
    assert watching.returncode == 128 + number


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_tail_survives_the_daemon_without_losing_or_repeating(own_daemon: Daemon, how: str) -> None:
    watching = own_daemon.spawn("tail", "flight.departed", "--json", "--count", "40")
    wait_until_watching(own_daemon)
    for batch in range(4):
        own_daemon.publish_many([departure(10 * batch + number) for number in range(10)])
        if how == "kill":
            own_daemon.kill()
            own_daemon.start()
        elif batch < 3:
            own_daemon.swimctl("restart", check=True)
    seen, told = watching.communicate(timeout=60)
    assert numbers_of(seen) == list(range(40))
    assert watching.returncode == 0
    assert "— reconnected, " in told


def test_tail_says_how_many_events_it_recovered(own_daemon: Daemon) -> None:
    watching = own_daemon.spawn("tail", "flight.departed", "--json", "--count", "4")
    wait_until_watching(own_daemon)
    own_daemon.publish("flight.departed", number=0)
    assert numbers_of(read_lines(watching, 1)) == [0]
    os.kill(watching.pid, signal.SIGSTOP)
    own_daemon.kill()
    own_daemon.start()
    own_daemon.publish_many([departure(number) for number in (1, 2)])
    os.kill(watching.pid, signal.SIGCONT)
    assert numbers_of(read_lines(watching, 2)) == [1, 2]
    while not (told := watching.stderr.readline() if watching.stderr else "").startswith("— reconnected"):
        assert told
    assert told == "— reconnected, 2 events recovered —\n"
    own_daemon.publish("flight.departed", number=3)
    seen, _ = watching.communicate(timeout=20)
    assert numbers_of(seen) == [3]


def test_tail_ends_when_its_key_is_revoked(own_daemon: Daemon) -> None:
    key = own_daemon.issue()
    watching = own_daemon.spawn("tail", "--url", own_daemon.url, SWIM_API_KEY=key["api_key"])
    wait_until_watching(own_daemon)
    own_daemon.swimctl("keys", "revoke", str(key["id"]), "--yes", check=True)
    _, told = watching.communicate(timeout=20)
    assert watching.returncode == 6
    assert "the key was refused" in told
