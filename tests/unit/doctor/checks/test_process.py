"""What doctor concludes about lock, port, limits, memory, loop and deaths."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import msgspec
import pytest
from support.fake_examination import INFO, FakeExamination, status_document
from swim_server.config import Config, ServerConfig
from swim_server.daemon.start_log import How, Start, record_start

from swimctl.doctor.checks.process import (
    answers,
    clear_stale_lock,
    has_descriptors,
    has_memory,
    is_running,
    lock_is_ours,
    loop_is_free,
    port_is_ours,
    stays_up,
)
from swimctl.doctor.probes.procfs import DescriptorUse, Listener
from swimctl.errors import CommandFailed


async def test_lock_held_by_the_process_that_it_names_is_well(examination: FakeExamination) -> None:
    answer = await lock_is_ours(examination)
    assert (answer.status, answer.observed) == ("ok", f"held by pid 42, started {INFO.started_at}")


async def test_lock_of_another_users_process_that_lives_is_believed(examination: FakeExamination) -> None:
    examination.fakes.open_by[42] = None
    assert (await lock_is_ours(examination)).status == "ok"


async def test_empty_lock_that_nobody_holds_is_well(examination: FakeExamination) -> None:
    examination.held, examination.lock_info = False, None
    assert (await lock_is_ours(examination)).observed == "held by nobody"


async def test_lock_left_by_a_killed_process_is_stale(examination: FakeExamination) -> None:
    examination.held = examination.lives = False
    examination.fakes.states.clear()
    answer = await lock_is_ours(examination)
    assert (answer.status, answer.fix) == ("fail", "swimctl serve --detach")
    assert "pid 42, which was killed" in answer.observed


async def test_lock_whose_pid_has_come_around_names_the_other_process(examination: FakeExamination) -> None:
    examination.held = examination.lives = False
    examination.fakes.names[42] = "nginx"
    answer = await lock_is_ours(examination)
    assert "pid 42, which is another process now: nginx" in answer.observed
    assert answer.fix is not None
    assert "kill" not in answer.fix


async def test_lock_of_another_boot_is_told_as_such(examination: FakeExamination) -> None:
    examination.held = False
    examination.lock_info = msgspec.structs.replace(INFO, boot_id="another")
    assert "before the last boot" in (await lock_is_ours(examination)).observed


async def test_living_process_whose_lockfile_was_replaced_is_to_be_ended(examination: FakeExamination) -> None:
    examination.held = False
    answer = await lock_is_ours(examination)
    assert "does not hold it" in answer.observed
    assert answer.fix == "kill 42; sleep 1; swimctl serve --detach"


@pytest.mark.parametrize("info", [None, INFO], ids=["names-nobody", "names-another"])
async def test_lock_held_by_a_foreign_process_names_that(examination: FakeExamination, info: object) -> None:
    examination.lock_info = INFO if info is not None else None
    examination.lives = False
    examination.fakes.holders = [7]
    examination.fakes.names[7] = "vim"
    answer = await lock_is_ours(examination)
    assert (answer.status, answer.fix) == ("fail", "kill 7; sleep 1; swimctl serve --detach")
    assert "pid 7 (vim)" in answer.observed


async def test_stale_lock_is_cleared_and_told(examination: FakeExamination) -> None:
    examination.home.lockfile.write_text("pid = 1\n", "utf-8")
    assert await clear_stale_lock(examination) == [f"cleared the stale lockfile {examination.home.lockfile}"]
    assert await clear_stale_lock(examination) == []


async def test_port_that_the_process_alone_listens_on_is_well(examination: FakeExamination) -> None:
    assert (await port_is_ours(examination)).observed == "pid 42 listens alone"


async def test_second_listener_on_the_same_address_is_named(examination: FakeExamination) -> None:
    fakes = examination.fakes
    fakes.heard = [Listener("0100007F", "7"), Listener("0100007F", "8")]
    fakes.socket_inodes[9], fakes.names[9] = {"8"}, "thief"
    answer = await port_is_ours(examination)
    assert (answer.status, answer.fix) == ("fail", "kill 9")
    assert "pid 9 (thief) listens there too" in answer.observed


async def test_process_that_shares_the_lock_may_listen_too(examination: FakeExamination) -> None:
    """In the middle of a restart two of ours listen."""
    fakes = examination.fakes
    fakes.heard = [Listener("0100007F", "7"), Listener("0100007F", "8")]
    fakes.socket_inodes[9], fakes.open_by[9] = {"8"}, True
    assert (await port_is_ours(examination)).status == "ok"


async def test_listener_on_another_address_takes_nobodys_clients(examination: FakeExamination) -> None:
    examination.fakes.heard = [Listener("0100007F", "7"), Listener("0200007F", "8")]
    assert (await port_is_ours(examination)).status == "ok"


async def test_process_that_does_not_listen_is_found_out(examination: FakeExamination) -> None:
    examination.fakes.heard = []
    assert (await port_is_ours(examination)).status == "fail"


@pytest.mark.parametrize("hidden", ["sockets", "network", "kernel", "starting"])
async def test_port_that_can_not_be_looked_at_is_skipped(examination: FakeExamination, hidden: str) -> None:
    fakes = examination.fakes
    if hidden == "sockets":
        fakes.socket_inodes[42] = None
    elif hidden == "network":
        fakes.same_network = False
    elif hidden == "kernel":
        fakes.heard = None
    else:
        examination.lock_info = msgspec.structs.replace(INFO, url=None)
    assert (await port_is_ours(examination)).status == "skip"


async def test_configured_port_that_another_program_has_names_it(examination: FakeExamination) -> None:
    fakes = examination.fakes
    examination.held, examination.config = False, Config(server=ServerConfig(port=8090))
    fakes.bind_error = OSError(errno.EADDRINUSE, "Address already in use")
    fakes.names[42] = "nginx"
    answer = await port_is_ours(examination)
    assert answer.observed == "taken by pid 42 (nginx)"
    assert answer.fix == "kill 42  # or: swimctl config set server.port 8091"
    fakes.heard = []
    answer = await port_is_ours(examination)
    assert answer.observed == "not to be had: Address already in use"


async def test_running_is_a_held_lock(examination: FakeExamination) -> None:
    assert (await is_running(examination)).status == "ok"
    examination.held = False
    assert (await is_running(examination)).fix == "swimctl serve --detach"


async def test_answer_of_another_pid_than_the_locks_fails(examination: FakeExamination) -> None:
    assert (await answers(examination)).status == "ok"
    examination.answers["status"] = status_document(pid=43)
    assert "pid 43 answers" in (await answers(examination)).observed


@pytest.mark.parametrize(
    ("state", "status", "fix"),
    [
        ("T", "fail", "kill -CONT 42"),
        ("t", "fail", "kill -CONT 42"),
        ("D", "fail", "dmesg | tail"),
        ("R", "fail", "swimctl stop; swimctl serve --detach"),
    ],
)
async def test_silent_process_is_told_by_its_state(
    examination: FakeExamination, state: str, status: str, fix: str
) -> None:
    examination.answers["status"] = CommandFailed("silence")
    examination.fakes.states[42] = state
    answer = await answers(examination)
    assert (answer.status, answer.fix) == (status, fix)


async def test_process_that_is_just_starting_is_unknown(examination: FakeExamination) -> None:
    examination.answers["status"] = CommandFailed("silence")
    examination.lock_info = msgspec.structs.replace(INFO, url=None)
    assert (await answers(examination)).status == "unknown"
    examination.lock_info = None
    assert (await answers(examination)).status == "unknown"


@pytest.mark.parametrize(
    ("use", "status"),
    [
        (DescriptorUse(205, 205, 30), "ok"),
        (DescriptorUse(204, 204, 30), "warn"),
        (DescriptorUse(20_000, 20_000, 19_960), "fail"),
        (DescriptorUse(20_000, 20_000, None), "ok"),
        (None, "skip"),
    ],
)
async def test_descriptors_are_held_against_full_tiers(
    examination: FakeExamination, use: DescriptorUse | None, status: str
) -> None:
    """One tier of five, and two hundred for everything else."""
    examination.fakes.use = {42: use} if use is not None else {}
    assert (await has_descriptors(examination)).status == status


async def test_who_may_not_raise_limits_is_told_another_way(examination: FakeExamination) -> None:
    examination.fakes.use[42] = DescriptorUse(100, 100, 30)
    assert (await has_descriptors(examination)).fix == (
        "prlimit --pid 42 --nofile=205:205  # for good: LimitNOFILE= in the unit"
    )
    examination.fakes.raises_limits = False
    assert str((await has_descriptors(examination)).fix).startswith("sudo prlimit")


@pytest.mark.parametrize(
    ("limit", "status"), [(2**30, "ok"), (75 * 2**20, "warn"), (65 * 2**20, "fail"), (None, "skip"), (0, "skip")]
)
async def test_memory_is_held_against_what_there_is(
    examination: FakeExamination, limit: int | None, status: str
) -> None:
    examination.fakes.limit_bytes = limit
    assert (await has_memory(examination)).status == status


@pytest.mark.parametrize(
    ("p50", "p99", "uptime", "status"),
    [
        (1, 5, 100, "ok"),
        (150, 200, 100, "warn"),
        (700, 800, 100, "fail"),
        (1, 1500, 100, "warn"),
        (1, 1500, 20, "ok"),
        (700, 800, 9, "skip"),
    ],
)
async def test_loop_is_judged_by_most_ticks(
    examination: FakeExamination, p50: float, p99: float, uptime: float, status: str
) -> None:
    examination.answers["status"] = status_document(
        loop_lag_ms={"p50": p50, "p99": p99, "max": 9000.0}, uptime_seconds=uptime
    )
    assert (await loop_is_free(examination)).status == status


def note(path: Path, how: How, *ages: float) -> None:
    for age in ages:
        record_start(path, Start(time.time() - age, 1, how))


async def test_deaths_of_the_last_hour_count_and_restarts_do_not(examination: FakeExamination) -> None:
    path = examination.home.starts
    assert (await stays_up(examination)).status == "ok"
    note(path, "restart", *range(20))
    note(path, "after-crash", 10, 20, 4000, 5000, 6000)
    assert (await stays_up(examination)).observed == "22 starts in the last hour: 20 by restart, 2 after a death"
    note(path, "after-crash", 5)
    assert (await stays_up(examination)).status == "warn"


async def test_diary_of_nonsense_is_no_death(examination: FakeExamination) -> None:
    examination.home.starts.write_bytes(b'\xff\xfe{{\n{"at": "x"}\n[]\n{"at": 1e300, "pid": 1, "how": "start"}\n')
    assert (await stays_up(examination)).status == "ok"


async def test_home_of_another_user_is_unknown_and_says_as_whom_to_ask(examination: FakeExamination) -> None:
    async def refuse() -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", "/home/other/swim.lock")

    examination.is_held = refuse  # type: ignore[method-assign]
    answer = await lock_is_ours(examination)
    assert answer.status == "unknown"
    assert str(answer.fix).startswith("sudo -u ")
