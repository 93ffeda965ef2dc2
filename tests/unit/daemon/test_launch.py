"""How a process was started, and by what."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from swim_server.daemon.launch import Launch, hide_credentials, supervisor_of


@pytest.mark.parametrize(
    ("environ", "pid", "parent", "expected"),
    [
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, 42, "bash", "systemd"),
        ({"SYSTEMD_EXEC_PID": "42"}, 42, "systemd", "systemd"),
        ({"SYSTEMD_EXEC_PID": "41"}, 42, "bash", None),
        ({"INVOCATION_ID": "0"}, 42, "bash", None),
        ({"SUPERVISOR_ENABLED": "1"}, 42, "supervisord", "supervisord"),
        ({}, 1, None, "container"),
        ({}, 7, "tini", "tini"),
        ({}, 7, "docker-init", "tini"),
        ({}, 7, "runsv", "runit"),
        ({}, 7, "bash", None),
        ({}, 7, None, None),
    ],
)
def test_supervisor_is_known_by_what_it_leaves(
    environ: dict[str, str], pid: int, parent: str | None, expected: str | None
) -> None:
    assert supervisor_of(environ, pid, parent) == expected


def test_launch_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["swimctl", "serve", "--source", "vatsim:https://me:pw@feed.test/data?key=s3cret"])
    launch = Launch.of_this_process({"SYSTEMD_EXEC_PID": str(os.getpid())})
    assert (launch.supervisor, launch.executable) == ("systemd", sys.executable)
    assert launch.program == str(Path.cwd() / "swimctl")
    assert launch.arguments == ("serve", "--source", "vatsim:https://***@feed.test/data?key=***")


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("serve", "serve"),
        ("simulator?flights=300", "simulator?flights=300"),
        ("file:/var/lib/swim/events.json", "file:/var/lib/swim/events.json"),
        ("https://token@feed.test", "https://***@feed.test"),
        ("--url=wss://u:p@swim.test/ws", "--url=wss://***@swim.test/ws"),
    ],
)
def test_credentials_in_arguments_are_hidden(argument: str, shown: str) -> None:
    assert hide_credentials(argument) == shown
