"""How a daemon begins and ends, and what it leaves behind: as operators and service managers see it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import NotAnswering
from support.live_daemon import LiveDaemon, await_true, comes_true
from support.wire_client import dial, open_client, try_to_connect
from swim_server.daemon.home import SOCKET_PATH_LIMIT


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[LiveDaemon]:
    """One that has not been started."""
    daemon = LiveDaemon(tmp_path / "home")
    yield daemon
    daemon.finish()


# Beginning.


def test_start_on_port_0_tells_where_it_listens(daemon: LiveDaemon) -> None:
    daemon.start()
    status = daemon.status()
    assert daemon.process is not None
    assert status["pid"] == daemon.info.pid == daemon.process.pid
    assert status["url"] == f"ws://127.0.0.1:{daemon.port}/api/swim/v1/ws"
    assert status["home"] == str(daemon.home)


def test_files_of_a_home_are_its_owners_alone(daemon: LiveDaemon) -> None:
    daemon.start()
    daemon.api_key()
    daemon.put(("tmi.issued", {"program_id": 1}))
    assert stat.S_IMODE(daemon.home.stat().st_mode) & 0o077 == 0 or daemon.home.stat().st_uid == os.getuid()
    for name in ("swim.lock", "control.sock", "history.db", "swim.db"):
        assert stat.S_IMODE((daemon.home / name).stat().st_mode) == 0o600, name


def test_second_daemon_on_the_same_home_names_the_first_and_exits_4(daemon: LiveDaemon) -> None:
    daemon.start()
    for words in (("serve", "--port", "0"), ("serve", "--detach", "--port", "0")):
        done = daemon.swimctl(*words)
        assert done.returncode == 4
        assert f"pid {daemon.info.pid}" in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    assert daemon.status()["pid"] == daemon.info.pid


def test_taken_port_is_told_and_leaves_the_home_free(daemon: LiveDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = daemon.swimctl("serve", "--port", str(port))
        assert done.returncode == 1
        assert f"can't listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
        assert "Traceback" not in done.stderr
        assert "a bug" not in done.stderr
        detached = daemon.swimctl("serve", "--detach", "--port", str(port))
        assert detached.returncode == 1
        assert f"port {port}" in detached.stderr
    assert not daemon.is_serving
    assert daemon.swimctl("status").returncode == 3


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_host_that_is_not_ours_is_told(daemon: LiveDaemon, host: str) -> None:
    done = daemon.swimctl("serve", "--host", host, "--port", "0")
    assert done.returncode == 1
    assert f"can't listen on {host}" in done.stderr


@pytest.mark.parametrize("home", ["/proc/swim", "/dev/null/swim"])
def test_unwritable_home_is_told(daemon: LiveDaemon, home: str) -> None:
    for words in (("serve", "--port", "0"), ("serve", "--detach", "--port", "0")):
        done = daemon.swimctl(*words, SWIM_HOME=home)
        assert done.returncode == 1
        assert f"can't use {home} as home" in done.stderr
        assert "SWIM_HOME" in done.stderr


def test_home_of_a_long_path_has_its_control_socket_elsewhere(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / ("long" * 30) / "home")
    try:
        daemon.start()
        control = Path(str(daemon.info.control))
        assert len(os.fsencode(control)) <= SOCKET_PATH_LIMIT
        assert control.parent != daemon.home
        assert stat.S_IMODE(control.parent.stat().st_mode) == 0o700
        assert daemon.swimctl("status", check=True).stdout
    finally:
        daemon.finish()
    assert not control.parent.exists()


def test_configuration_with_a_typo_is_told_and_nothing_is_started(daemon: LiveDaemon) -> None:
    daemon.config_path.write_text("[server]\nprot = 1\n")
    done = daemon.swimctl("serve", "--port", "0")
    assert done.returncode == 2
    assert "prot" in done.stderr
    assert "port" in done.stderr
    assert not daemon.is_serving


def test_foreground_goes_on_without_a_terminal_and_logs_to_standard_error(daemon: LiveDaemon) -> None:
    daemon.start()
    assert "serving" in daemon.log


# Ending.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_closes_clients_with_1012_and_ends_with_0(daemon: LiveDaemon, number: signal.Signals) -> None:
    daemon.start()
    keys = [daemon.api_key() for _ in range(3)]
    clients = [await open_client(daemon.url, key) for key in keys]
    for client in clients:
        await client.next()
    (id_,) = daemon.put(("tmi.issued", {"program_id": 1}))
    daemon.signal(number)
    closes = await asyncio.gather(*(client.closed() for client in clients))
    assert {code for code, _ in closes} == {1012}
    assert len({reason for _, reason in closes}) == 3
    assert await asyncio.to_thread(daemon.ended) == 0
    assert not daemon.is_serving
    assert not (daemon.home / "control.sock").exists()
    daemon.start()
    async with dial(daemon.url, keys[0]) as client:
        await client.subscribe("tmi.*", last=1)
        assert [event["id"] for event in await client.events(1)] == [id_]


async def test_stop_waits_no_longer_than_it_must_for_clients_that_do_not_answer(daemon: LiveDaemon) -> None:
    daemon.config_path.write_text("[server]\nclose_timeout_seconds = 0.5\n")
    daemon.start()
    idle = socket.create_connection(("127.0.0.1", daemon.port))
    client = await open_client(daemon.url, daemon.api_key())
    client.connection.transport.pause_reading()
    began = time.monotonic()
    assert await asyncio.to_thread(daemon.stop) == 0
    assert time.monotonic() - began < 3
    idle.close()
    client.connection.transport.abort()


async def test_second_signal_ends_it_at_once(daemon: LiveDaemon) -> None:
    daemon.config_path.write_text("[server]\nclose_timeout_seconds = 60\n")
    daemon.start()
    client = await open_client(daemon.url, daemon.api_key())
    client.connection.transport.pause_reading()
    await comes_true(lambda: sum(daemon.counted().values()) == 1)
    daemon.signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    began = time.monotonic()
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGTERM)
    assert await asyncio.to_thread(daemon.ended) == 0
    assert time.monotonic() - began < 5
    client.connection.transport.abort()


def _take_terminal() -> None:
    """Make standard input the controlling terminal of a session of its own."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_hangup_of_its_terminal_ends_it(daemon: LiveDaemon) -> None:
    """Without one a hangup is a wish to restart: that would leave a daemon behind nobody asked for."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "swimctl", "serve", "--port", "0"],
        env=daemon.environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=_take_terminal,  # noqa: PLW1509 - the parent has no other thread that could hold a lock
    )
    try:
        await_true(lambda: (info := daemon.lockfile.read()) is not None and info.url, what="serving", seconds=30)
        assert daemon.info.pid == process.pid
        process.send_signal(signal.SIGHUP)
        assert process.wait(15) == 0
        assert not daemon.is_serving
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_stop_without_a_daemon_exits_3_and_clears_what_a_killed_one_left(daemon: LiveDaemon) -> None:
    assert daemon.swimctl("stop").returncode == 3
    daemon.start()
    pid = daemon.info.pid
    daemon.kill()
    done = daemon.swimctl("stop")
    assert done.returncode == 3
    assert f"stale lockfile of pid {pid}" in done.stderr


def test_killed_daemon_leaves_a_home_that_the_next_one_takes_over(daemon: LiveDaemon) -> None:
    daemon.start()
    key = daemon.api_key()
    ids = daemon.put(*(("tmi.issued", {"program_id": number}) for number in range(100)))
    daemon.kill()
    assert (daemon.home / "control.sock").exists()
    assert not daemon.is_serving
    assert daemon.swimctl("status").returncode == 3
    daemon.start()
    (later,) = daemon.put(("tmi.issued", {"program_id": 100}))
    assert int(later.split("-")[0]) >= int(ids[-1].split("-")[0])

    async def resume() -> list[str]:
        async with dial(daemon.url, key) as client:
            answer = await client.subscribe("tmi.*", after=ids[49])
            assert answer["gap"] is False
            return [event["id"] for event in await client.events(51)]

    assert asyncio.run(resume()) == [*ids[50:], later]


def test_lock_of_a_killed_daemon_is_never_mistaken_for_a_living_one(daemon: LiveDaemon) -> None:
    """Also when another process has its pid meanwhile."""
    from swim_server.daemon import process

    daemon.start()
    info = daemon.info
    assert process.is_alive(info)
    daemon.kill()
    assert not process.is_alive(info)


# Behind.


def test_detached_daemon_serves_when_the_command_returns_and_lives_on(daemon: LiveDaemon) -> None:
    done = daemon.swimctl("serve", "--detach", "--port", "0", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pid"] == daemon.info.pid
    assert told["url"] == daemon.url
    assert asyncio.run(try_to_connect(daemon.url, daemon.api_key())) == (["connected"], None)
    assert os.getsid(told["pid"]) == told["pid"]
    assert daemon.swimctl("stop").returncode == 0


def test_detached_daemon_does_not_import_from_the_folder_it_was_started_in(daemon: LiveDaemon, tmp_path: Path) -> None:
    """Whoever may write there could else put code of theirs into it."""
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("swimctl.py", "asyncio.py", "swim_server.py"):
        (trap / name).write_text("import os; os._exit(66)\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "swimctl", "serve", "--detach", "--port", "0"],
        env=daemon.environ,
        cwd=trap,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before = daemon.info.pid
    assert daemon.call("restart")["pid"] != before
    assert daemon.swimctl("stop").returncode == 0


def test_interrupted_detach_leaves_no_daemon(daemon: LiveDaemon) -> None:
    starting = daemon.spawn("serve", "--detach", "--port", "0")
    try:
        await_true(lambda: daemon.is_serving, what="the lock")
        starting.send_signal(signal.SIGINT)
        starting.communicate(timeout=60)
        await_true(lambda: not daemon.is_serving or _is_answering(daemon), what="an answer")
        if starting.returncode != 0:
            await_true(lambda: not daemon.is_serving, what="the end of the daemon")
    finally:
        if daemon.is_serving:
            daemon.swimctl("stop")


def _is_answering(daemon: LiveDaemon) -> bool:
    try:
        daemon.status()
    except NotAnswering:
        return False
    return True
