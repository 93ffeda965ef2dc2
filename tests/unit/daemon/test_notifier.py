"""What systemd is told, through a socket like its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from swim_server.daemon.notifier import Notifier, status_line


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        yield manager


def heard(manager: socket.socket) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while True:
        try:
            text = manager.recv(4096).decode()
        except BlockingIOError:
            return found
        found.append(dict(line.split("=", 1) for line in text.split("\n")))


def test_life_of_a_service_is_told(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    notifier.ready("serving")
    notifier.reloading("reloading the configuration")
    notifier.ready("serving")
    notifier.stopping()
    ready, reloading, again, stopping = heard(manager)
    assert ready == again == {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "serving"}
    assert (reloading.keys(), reloading["RELOADING"]) == ({"RELOADING", "MONOTONIC_USEC", "STATUS"}, "1")
    assert stopping["STOPPING"] == "1"


def test_who_has_a_successor_says_no_more(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    notifier.succeeded_by(4242)
    notifier.stopping()
    assert heard(manager) == [{"MAINPID": "4242"}]


def test_abstract_socket_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0swim-test-{os.getpid()}")
        manager.setblocking(False)
        Notifier(f"@swim-test-{os.getpid()}").stopping()
        assert heard(manager)[0]["STOPPING"] == "1"


def test_manager_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    notifier.ready("serving")
    notifier.stopping()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
    ids=["unwatched", "watched", "by-pid", "another", "zero", "absurd"],
)
def test_watchdog_is_read_from_the_environment(environ: dict[str, str], seconds: float | None) -> None:
    given = {"NOTIFY_SOCKET": "/run/notify", **environ}
    notifier = Notifier.from_environment(given)
    assert (notifier.watchdog_seconds, notifier.is_listened_to) == (seconds, True)
    assert "WATCHDOG_PID" not in given, "whoever takes over is watched as well"


async def test_loop_that_lives_beats_and_one_that_hangs_does_not(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname(), 0.003)
    lines = iter(["serving", "serving"])
    beating = asyncio.create_task(notifier.run(lambda: next(lines, "quiet")))
    beats: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        while len(beats) < 5:
            await asyncio.sleep(0.001)
            beats += heard(manager)
    assert [beat["WATCHDOG"] for beat in beats] == ["1"] * len(beats)
    assert [beat["STATUS"] for beat in beats if "STATUS" in beat] == ["serving", "quiet"]
    while heard(manager):
        pass  # what was sent until now; from here on the loop is ours
    assert heard(manager) == []
    beating.cancel()


async def test_nobody_to_tell_costs_nothing() -> None:
    waiting = asyncio.create_task(Notifier(None).run(lambda: pytest.fail("nobody asks")))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


def test_status_line_is_for_people() -> None:
    assert status_line("ws://127.0.0.1:8090/", 1, 0.25) == "serving ws://127.0.0.1:8090/: 1 client, 0.2 events/s"
