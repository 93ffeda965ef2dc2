"""What is read from ``/proc``, even from an implausible one."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from swimctl.doctor.abandonable_threads import AbandonableThreads
from swimctl.doctor.probes import kernel_sockets
from swimctl.doctor.probes.control_groups import ControlGroups
from swimctl.doctor.probes.procfs import ProcFs


def test_own_process_is_seen_as_it_is(tmp_path: Path) -> None:
    machine, pid = ProcFs(), os.getpid()
    assert machine.state(pid) in ("running", "sleeping")
    assert machine.name(pid)
    file = tmp_path / "file"
    with file.open("w"):
        assert machine.has_open(pid, file)
        assert pid in machine.openers(file)
    assert machine.has_open(pid, file) is False
    assert machine.has_open(pid, tmp_path / "none") is None
    use = machine.descriptors(pid)
    assert use is not None
    assert 0 < (use.open or 0) < use.soft <= use.hard
    assert ControlGroups().memory_bytes(pid) > 2**20
    assert machine.is_same_network(pid)


def test_listener_is_found_with_its_owner() -> None:
    machine = ProcFs()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        (found,) = machine.listeners(port) or []
        assert found.inode in (machine.sockets(os.getpid()) or set())
        assert machine.socket_owner(found.inode) == os.getpid()
        assert machine.port_trouble("127.0.0.1", port) is not None
    assert machine.port_trouble("127.0.0.1", port) is None
    assert machine.port_trouble("no.such.host.invalid", port) is not None


def test_holder_of_a_lock_is_found(tmp_path: Path) -> None:
    import fcntl

    file = tmp_path / "lock"
    with file.open("w") as held:
        assert ProcFs().lock_holders(file) == []
        fcntl.flock(held, fcntl.LOCK_EX)
        assert ProcFs().lock_holders(file) in ([os.getpid()], [])  # not every sandbox tells of locks
    assert ProcFs().lock_holders(tmp_path / "none") == []


def test_process_that_is_not_there_is_nothing() -> None:
    machine, pid = ProcFs(), 2**22 + 1
    assert machine.state(pid) is None
    assert machine.sockets(pid) is None
    assert machine.descriptors(pid) is None
    assert machine.log_target(pid) is None
    assert machine.is_same_network(pid) is None
    assert machine.name(pid) == "a process that can't be looked at"


@pytest.mark.parametrize("text", ["", "42", "42 (a) b) (c", "\xff\x00 ) ", "42 (x) Z 1 2 3\n"])
def test_hostile_proc_is_read_without_an_error(tmp_path: Path, text: str) -> None:
    """A process may call itself anything."""
    (tmp_path / "42" / "fd").mkdir(parents=True)
    (tmp_path / "42" / "fd" / "0").symlink_to("socket:[nonsense]")
    (tmp_path / "42" / "fd" / "1").symlink_to("/nowhere")
    (tmp_path / "net").mkdir()
    (tmp_path / "self").mkdir()
    for name in ("42/stat", "42/comm", "42/limits", "42/cgroup", "net/tcp", "locks", "meminfo", "self/status"):
        (tmp_path / name).write_text(text, "utf-8")
    machine = ProcFs(tmp_path)
    assert machine.listeners(1) == []
    assert machine.sockets(42) == set()
    assert ControlGroups(tmp_path, tmp_path).memory_bytes(42) > 2**20
    assert ControlGroups(tmp_path, tmp_path).processor_limit(42) is None
    assert machine.lock_holders(tmp_path / "locks") == []
    assert machine.may_raise_limits() is False
    assert machine.has_open(42, tmp_path / "locks") is False


def test_threads_that_hang_are_left_behind() -> None:
    """A program whose thread never ends comes to its end all the same."""
    code = (
        "import asyncio, threading\n"
        "from swimctl.doctor.abandonable_threads import AbandonableThreads\n"
        "async def main():\n"
        "    asyncio.get_running_loop().set_default_executor(AbandonableThreads())\n"
        "    hanging = asyncio.create_task(asyncio.to_thread(threading.Event().wait))\n"
        "    print(await asyncio.to_thread(sum, [1, 2]))\n"
        "    hanging.cancel()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


async def test_error_in_a_thread_is_its_callers() -> None:
    future = AbandonableThreads().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        await asyncio.wait_for(asyncio.wrap_future(future), 10)


async def test_short_calls_share_a_thread_and_those_that_wait_get_one_each() -> None:
    threads = AbandonableThreads()
    short = [asyncio.wrap_future(threads.submit(threading.get_ident)) for _ in range(5)]
    assert len(set(await asyncio.gather(*short))) == 1

    together = threading.Barrier(20)
    waiting = [asyncio.wrap_future(threads.submit(together.wait)) for _ in range(20)]
    assert sorted(await asyncio.wait_for(asyncio.gather(*waiting), 60)) == list(range(20))


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_sockets_are_what_the_kernel_s_own_tables_say(family: socket.AddressFamily, host: str) -> None:
    machine = ProcFs()
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((host, port)), listener.accept()[0]:
            listeners = machine.listeners(port)
            assert listeners == machine._listeners_in_text(port)
            assert [each.inode for each in listeners or ()] == [str(os.fstat(listener.fileno()).st_ino)]
            assert kernel_sockets.count_connections(os.getpid(), port) == 1
            held = kernel_sockets.HELD_STATES
            for more in ({"local_port": port}, {"remote_port": port}):
                by_text = [row.inode for row in kernel_sockets._rows(os.getpid()) or () if is_meant(row, **more)]
                found = kernel_sockets._inodes(os.getpid(), held, **more)
                assert found == by_text
                assert len(by_text) == 1


def is_meant(row: kernel_sockets._Row, *, local_port: int | None = None, remote_port: int | None = None) -> bool:
    ends = [row.local.rpartition(":")[2], row.remote.rpartition(":")[2]]
    wanted = [None if port is None else f"{port:04X}" for port in (local_port, remote_port)]
    return row.state in kernel_sockets.HELD_STATES and all(
        each is None or each == end for each, end in zip(wanted, ends, strict=True)
    )


def test_sockets_are_found_without_sock_diag_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_sockets, "_is_same_network", lambda pid: False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
            assert kernel_sockets.count_connections(os.getpid(), port) == 1
