"""The control client against a scripted daemon: real lock, real socket, answers that misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_control import FakeDaemon, RpcProblem
from swim_server.daemon.handover.program import Program
from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile

from swimctl.app import run
from swimctl.client.control import ControlClient
from swimctl.client.session import RpcFailed, SessionLost, decode
from swimctl.errors import CommandFailed, DaemonNotRunning

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path / "home").start()
    yield daemon
    daemon.stop()


@pytest.fixture
def swimctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("SWIM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SWIM_CONFIG", str(tmp_path / "swim.toml"))
    (tmp_path / "swim.toml").write_text("", "utf-8")

    def run_here(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        return code, *capsys.readouterr()

    return run_here


def test_call_answers_the_result(daemon: FakeDaemon) -> None:
    daemon.methods["status"] = lambda params: {"pid": 7, "asked": dict(params)}
    with ControlClient.connect(daemon.home) as control:
        assert control.greet()["type"] == "connected"
        assert control.call("status", {"a": 1}) == {"pid": 7, "asked": {"a": 1}}
        assert control.info is not None and control.info.pid == 4242


def test_call_that_is_answered_with_an_error_raises_it(daemon: FakeDaemon) -> None:
    def refuse(params: Any) -> Any:
        raise RpcProblem(-32602, "no such key", {"id": 7})

    daemon.methods["key_changed"] = refuse
    with ControlClient.connect(daemon.home) as control:
        with pytest.raises(RpcFailed, match="no such key") as caught:
            control.call("key_changed")
        assert (caught.value.code, caught.value.data) == (-32602, {"id": 7})
        with pytest.raises(RpcFailed, match="no such method: abracadabra"):
            control.call("abracadabra")


def test_call_keeps_the_events_that_come_before_its_answer(daemon: FakeDaemon) -> None:
    def emit(params: Any) -> Any:
        return [daemon.emit("flight.departed", {"n": number}) for number in range(3)]

    daemon.methods["emit"] = emit
    with ControlClient.connect(daemon.home) as control:
        control.greet()
        control.session.send({"action": "subscribe", "channels": ["*"]})
        assert decode(control.session.receive(5) or b"")["type"] == "subscribed"
        ids = control.call("emit")
        assert [decode(control.session.receive(5) or b"")["id"] for _ in ids] == ids


def test_call_that_is_not_answered_in_time_is_told(daemon: FakeDaemon) -> None:
    release = threading.Event()
    daemon.methods["status"] = lambda params: release.wait(10)
    with ControlClient.connect(daemon.home) as control:
        with pytest.raises(CommandFailed, match=r"did not answer status within 0\.2 s"):
            control.call("status", timeout=0.2)
        release.set()


def test_call_whose_connection_ends_says_so(daemon: FakeDaemon) -> None:
    daemon.methods["stop"] = lambda params: daemon.drop(1012, "the service stops; retry_ms=250")
    with ControlClient.connect(daemon.home) as control, pytest.raises(SessionLost) as caught:
        control.call("stop")
    assert (caught.value.code, caught.value.retry_seconds) == (1012, 0.25)
    assert str(caught.value).startswith("the connection to the daemon was lost: the service stops")


def test_home_that_nobody_serves_is_told(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match=r"is not running in .*nowhere"):
        ControlClient.connect(Home(tmp_path / "nowhere"))


def test_daemon_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    daemon = FakeDaemon(tmp_path / "home")
    daemon.hold()
    starting = threading.Timer(0.3, daemon.listen)
    starting.start()
    with ControlClient.connect(daemon.home) as control:
        assert control.call("publish", {"events": []}) == {"published": []}
    starting.join()
    daemon.stop()


def test_daemon_that_has_not_said_who_it_is_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    lock = Lockfile(home.lockfile)
    lock.acquire()
    with pytest.raises(CommandFailed, match=r"the daemon \(its pid is not known\) is running but does not answer"):
        ControlClient.connect(home, timeout=0.1)
    lock.release()


def test_daemon_whose_socket_takes_no_connection_is_told(daemon: FakeDaemon) -> None:
    daemon.home.control_socket.unlink()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(daemon.home.control_socket))
        with pytest.raises(CommandFailed, match=r"\(pid 4242\) is running but does not answer on its control socket"):
            ControlClient.connect(daemon.home, timeout=0.1)


def test_commands_tell_what_the_daemon_answers(daemon: FakeDaemon, swimctl: Run, tmp_path: Path) -> None:
    daemon.methods["status"] = lambda params: {"pid": 4242, "url": "ws://127.0.0.1:1/", "fingerprint": "abc"}
    daemon.methods["reload"] = lambda params: {"changed": ["tiers.public.connections"], "needs_restart": []}
    daemon.methods["connections"] = lambda params: {"connections": []}
    assert swimctl("status", "--json") == (0, '{"pid": 4242, "url": "ws://127.0.0.1:1/", "fingerprint": "abc"}\n', "")
    code, out, error = swimctl("status")
    pairs = dict(line.split("\t") for line in out.splitlines())
    assert (code, error, pairs["pid"], pairs["url"]) == (0, "", "4242", "ws://127.0.0.1:1/")
    daemon.methods["status"] = lambda params: {"pid": "seven"}
    code, out, error = swimctl("status")
    assert (code, out) == (1, "")
    assert "the daemon's answer to status can't be read" in error
    daemon.methods["status"] = lambda params: {"pid": 4242, "config_files": [str(tmp_path / "swim.toml")]}
    assert swimctl("reload") == (0, "changed: tiers.public.connections\n", "")
    assert json.loads(swimctl("reload", "--json")[1]) == {"changed": ["tiers.public.connections"], "needs_restart": []}
    assert swimctl("connections", "list", "--tier", "Partner", "--key", "7") == (0, "", "")
    assert daemon.requests[-1] == ("connections", {"tier": "partner", "key_id": 7})
    assert swimctl("connections", "list", "--json") == (0, "[]\n", "")


def test_restart_is_told_when_the_program_on_disk_is_seen_to_answer(daemon: FakeDaemon, swimctl: Run) -> None:
    serving = {"pid": 4242, "url": "ws://127.0.0.1:1/", "fingerprint": Program.of_this_process().fingerprint}
    daemon.methods["status"] = daemon.methods["restart"] = lambda params: serving
    assert swimctl("restart") == (0, f"restarted (pid 4242 → 4242), fingerprint {serving['fingerprint']}\n", "")


def test_restart_into_another_program_than_the_one_on_disk_is_a_failure(daemon: FakeDaemon, swimctl: Run) -> None:
    daemon.methods["status"] = daemon.methods["restart"] = lambda params: {"pid": 4242, "fingerprint": "abc"}
    code, out, error = swimctl("restart")
    assert (code, out) == (1, "")
    assert error.startswith("error: restarted, but it runs another program (")


def test_restart_that_fails_says_why_and_exits_with_1(daemon: FakeDaemon, swimctl: Run) -> None:
    def fail(params: Any) -> Any:
        raise RpcProblem(
            -32001, "the new process ended with exit code 1; the old one goes on\nSyntaxError: x.py, line 3"
        )

    daemon.methods["restart"] = fail
    code, out, error = swimctl("restart")
    assert (code, out) == (1, "")
    assert error.splitlines()[0] == "error: the new process ended with exit code 1; the old one goes on"
    assert "SyntaxError: x.py, line 3" in error


def test_connection_that_goes_by_itself_is_told(daemon: FakeDaemon, swimctl: Run) -> None:
    row = {"id": "client_1", "tier": "partner", "owner": "x", "remote": "y"}
    daemon.methods["connections"] = lambda params: {"connections": [row]}
    daemon.methods["connection_close"] = lambda params: {"closed": False}
    assert swimctl("connections", "close", "client_1", "--yes")[0] == 5


def test_publish_whose_answer_is_lost_is_stored_once(daemon: FakeDaemon, swimctl: Run) -> None:
    daemon.lose_after_storing = 1
    code, out, error = swimctl("publish", "flight.departed", "--data", "{}", "--force")
    assert (code, error) == (0, "")
    assert [event["id"] for event in daemon.events] == out.split()
    assert [method for method, _ in daemon.requests] == ["publish", "publish"]


def test_tail_that_is_refused_tells_the_servers_words(daemon: FakeDaemon, swimctl: Run) -> None:
    daemon.refuse_subscribe = ("INVALID_CHANNEL", 'unknown channel "x": did you mean y?')
    assert swimctl("tail", "x") == (2, "", 'error: unknown channel "x": did you mean y?\n')


def test_tail_tells_a_gap_on_standard_error(daemon: FakeDaemon, swimctl: Run) -> None:
    daemon.emit("flight.departed", {"callsign": "A"})
    daemon.has_gap = True
    code, out, error = swimctl("tail", "--after", "1-0", "--count", "1")
    assert code == 0
    assert "flight.departed\tA" in out
    assert error == "— gap: history does not reach back to the last event seen —\n"


def test_tail_asks_for_what_its_options_say(daemon: FakeDaemon, swimctl: Run) -> None:
    words = (
        "tail", "flight.*,tmi.*", "--airport", "KJFK,KBOS", "--airport", "EGLL", "--artcc", "ZNY", "--callsign", "DAL",
        "--fir", "EGTT", "--bbox", "45,40,-70,-80", "--last", "0", "--no-follow",
    )  # fmt: skip
    assert swimctl(*words) == (0, "", "")
    assert daemon.subscribes == [
        {
            "action": "subscribe", "channels": ["flight.*", "tmi.*"], "notices": True, "last": 0,
            "filters": {
                "airports": ["KJFK", "KBOS", "EGLL"], "artccs": ["ZNY"], "callsign_prefix": ["DAL"], "firs": ["EGTT"],
                "bbox": {"north": 45.0, "south": 40.0, "east": -70.0, "west": -80.0},
            },
        }
    ]  # fmt: skip


def test_tail_of_history_without_a_start_is_the_last_fifty(daemon: FakeDaemon, swimctl: Run) -> None:
    for number in range(60):
        daemon.emit("flight.departed", {"n": number})
    _, out, _ = swimctl("tail", "--no-follow", "--json")
    assert [json.loads(line)["data"]["n"] for line in out.splitlines()] == list(range(10, 60))
