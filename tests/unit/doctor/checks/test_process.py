"""What doctor concludes about lock, port, limits, memory, loop and kills."""

from __future__ import annotations

import errno
import signal
import time
from pathlib import Path

import msgspec
import pytest
from support.fake_context import INFO, FakeContext, status_document
from swim_server.config import Config, ServerConfig
from swim_server.daemon.start_log import How, Start, record_start

from swimctl.doctor.checks.process.limits import has_memory, has_processor_time
from swimctl.doctor.checks.process.lock import clear_stale_lock, lock_is_ours
from swimctl.doctor.checks.process.port import port_is_ours
from swimctl.doctor.checks.process.running import (
    answers,
    has_descriptors,
    is_running,
    loop_is_free,
    stays_up,
)
from swimctl.doctor.probes.control_groups import MemoryGroup, ProcessorLimit
from swimctl.doctor.probes.procfs import AddressSpace, DescriptorUse, Listener
from swimctl.errors import CommandFailed


async def test_lock_held_by_the_process_that_it_names_is_well(context: FakeContext) -> None:
    answer = await lock_is_ours(context)
    assert (answer.status, answer.observed) == ("ok", f"held by pid 42, started {INFO.started_at}")


async def test_lock_of_another_users_process_that_lives_is_believed(context: FakeContext) -> None:
    context.fakes.open_by[42] = None
    assert (await lock_is_ours(context)).status == "ok"


async def test_empty_lock_that_nobody_holds_is_well(context: FakeContext) -> None:
    context.held, context.lock_info = False, None
    assert (await lock_is_ours(context)).observed == "free"


async def test_lock_left_by_a_killed_process_is_stale(context: FakeContext) -> None:
    context.held = context.lives = False
    context.fakes.states.clear()
    answer = await lock_is_ours(context)
    assert (answer.status, answer.command) == ("fail", "swimctl serve --detach")
    assert "pid 42, which was killed" in answer.observed


async def test_lock_whose_pid_has_come_around_names_the_other_process(context: FakeContext) -> None:
    context.held = context.lives = False
    context.fakes.names[42] = "nginx"
    answer = await lock_is_ours(context)
    assert "pid 42, which is another process now: nginx" in answer.observed
    assert answer.command is not None
    assert "kill" not in answer.command


async def test_lock_of_another_boot_is_told_as_such(context: FakeContext) -> None:
    context.held = False
    context.lock_info = msgspec.structs.replace(INFO, boot_id="another")
    assert "before the last boot" in (await lock_is_ours(context)).observed


async def test_living_process_whose_lockfile_was_replaced_is_only_looked_at(context: FakeContext) -> None:
    context.held = False
    answer = await lock_is_ours(context)
    assert "does not hold it" in answer.observed
    assert answer.fix is None
    assert {each.kind for each in answer.advice} == {"inspect"}


async def test_lock_that_was_deleted_under_a_living_process_names_it(context: FakeContext) -> None:
    context.held, context.lock_info = False, None
    context.fakes.deleted_keepers = [42]
    answer = await lock_is_ours(context)
    assert answer.status == "fail"
    assert "was deleted or replaced under pid 42 (swimctl)" in answer.observed
    assert answer.fix is None
    assert {each.kind for each in answer.advice} == {"inspect"}
    context.home.lockfile.write_text("pid = 1\n", "utf-8")
    assert await clear_stale_lock(context) == []


async def test_restart_under_way_is_a_state_of_its_own(context: FakeContext) -> None:
    """The lockfile still names one that is gone, and two of ours have it."""
    fakes = context.fakes
    context.lives = False
    fakes.open_by = {42: True, 43: True}
    fakes.homes = {42: context.home.path, 43: context.home.path}
    answer = await lock_is_ours(context)
    assert (answer.status, answer.command) == ("ok", None)
    assert "a restart is under way" in answer.observed
    context.answers["status"] = status_document(pid=43)
    answer = await answers(context)
    assert (answer.status, answer.command) == ("ok", None)
    context.answers["status"] = CommandFailed("silence")
    answer = await answers(context)
    assert (answer.status, answer.fix) == ("unknown", None)


async def test_fault_that_a_second_look_does_not_find_is_not_told(context: FakeContext) -> None:
    """In between, a restart came to its end."""
    looks = iter((False, True, True))

    async def is_held() -> bool:
        return next(looks)

    context.is_held = is_held  # type: ignore[method-assign]  # the test answers in its place
    assert (await lock_is_ours(context)).status == "ok"


@pytest.mark.parametrize("info", [None, INFO], ids=["names-nobody", "names-another"])
async def test_lock_held_by_a_foreign_process_names_that(context: FakeContext, info: object) -> None:
    context.lock_info = INFO if info is not None else None
    context.lives = False
    context.fakes.holders = [7]
    context.fakes.names[7] = "vim"
    answer = await lock_is_ours(context)
    assert (answer.status, answer.fix) == ("fail", None)
    assert answer.command == "ps -o user,pid,ppid,lstart,comm -p 7"
    assert "pid 7 (vim)" in answer.observed


async def test_stale_lock_is_cleared_and_told(context: FakeContext) -> None:
    context.home.lockfile.write_text("pid = 1\n", "utf-8")
    assert await clear_stale_lock(context) == [f"cleared the stale lockfile {context.home.lockfile}"]
    assert await clear_stale_lock(context) == []


async def test_port_that_the_process_alone_listens_on_is_well(context: FakeContext) -> None:
    assert (await port_is_ours(context)).observed == "pid 42 listens alone"


async def test_second_listener_on_the_same_address_is_named(context: FakeContext) -> None:
    fakes = context.fakes
    fakes.heard = [Listener("0100007F", "7"), Listener("0100007F", "8")]
    fakes.socket_inodes[9], fakes.names[9] = {"8"}, "thief"
    answer = await port_is_ours(context)
    assert (answer.status, answer.fix) == ("fail", None)
    assert answer.command == "ps -o user,pid,ppid,lstart,comm -p 9"
    assert "pid 9 (thief) listens there too" in answer.observed


async def test_process_that_shares_the_lock_may_listen_too(context: FakeContext) -> None:
    """In the middle of a restart two of ours listen."""
    fakes = context.fakes
    fakes.heard = [Listener("0100007F", "7"), Listener("0100007F", "8")]
    fakes.socket_inodes[9], fakes.open_by[9] = {"8"}, True
    assert (await port_is_ours(context)).status == "ok"


async def test_listener_on_another_address_takes_nobodys_clients(context: FakeContext) -> None:
    context.fakes.heard = [Listener("0100007F", "7"), Listener("0200007F", "8")]
    assert (await port_is_ours(context)).status == "ok"


async def test_process_that_does_not_listen_is_found_out(context: FakeContext) -> None:
    context.fakes.heard = []
    assert (await port_is_ours(context)).status == "fail"


@pytest.mark.parametrize("hidden", ["sockets", "network", "kernel", "starting"])
async def test_port_that_can_not_be_looked_at_is_skipped(context: FakeContext, hidden: str) -> None:
    fakes = context.fakes
    if hidden == "sockets":
        fakes.socket_inodes[42] = None
    elif hidden == "network":
        fakes.same_network = False
    elif hidden == "kernel":
        fakes.heard = None
    else:
        context.lock_info = msgspec.structs.replace(INFO, url=None)
    assert (await port_is_ours(context)).status == "skip"


async def test_configured_port_that_another_program_has_names_it(context: FakeContext) -> None:
    fakes = context.fakes
    context.held, context.config = False, Config(server=ServerConfig(port=8090))
    fakes.bind_error = "Address already in use"
    fakes.names[42] = "nginx"
    answer = await port_is_ours(context)
    assert answer.observed == "taken by pid 42 (nginx)"
    assert answer.fix is None
    assert answer.command == "ps -o user,pid,ppid,lstart,comm -p 42"
    fakes.homes[42] = Path("/home/a")
    answer = await port_is_ours(context)
    assert answer.observed == "taken by pid 42 (swimctl of home /home/a)"
    assert (answer.fix, answer.command) == (None, "export SWIM_HOME=/home/a")
    fakes.heard = []
    answer = await port_is_ours(context)
    assert answer.observed == "can't be used: Address already in use"


async def test_running_is_a_held_lock(context: FakeContext) -> None:
    assert (await is_running(context)).status == "ok"
    context.held = False
    assert (await is_running(context)).command == "swimctl serve --detach"


async def test_answer_of_another_pid_than_the_locks_fails(context: FakeContext) -> None:
    assert (await answers(context)).status == "ok"
    context.answers["status"] = status_document(pid=43)
    assert "pid 43 answers" in (await answers(context)).observed


@pytest.mark.parametrize(
    ("state", "status", "fix"),
    [
        ("stopped", "fail", "kill -CONT 42"),
        ("tracing-stop", "fail", "grep TracerPid /proc/42/status"),
        ("disk-sleep", "fail", "dmesg | tail"),
        ("running", "fail", "top -b -n 1 -H -p 42"),
    ],
)
async def test_silent_process_is_told_by_its_state(context: FakeContext, state: str, status: str, fix: str) -> None:
    context.answers["status"] = CommandFailed("silence")
    context.fakes.states[42] = state
    context.home.control_socket.touch()
    answer = await answers(context)
    assert (answer.status, answer.command) == (status, fix)


async def test_socket_removed_under_a_process_is_no_blocked_loop(context: FakeContext) -> None:
    context.answers["status"] = CommandFailed("silence")
    answer = await answers(context)
    assert "control.sock was removed under pid 42" in answer.observed
    assert answer.fix is None
    assert {each.kind for each in answer.advice} == {"inspect"}
    fakes = context.fakes
    fakes.homes[42], fakes.caught[42] = context.home.path, {signal.SIGHUP}
    assert "kill -HUP 42" in [each.command for each in (await answers(context)).advice]
    fakes.with_terminal = {42}
    assert "kill -HUP 42" not in [each.command for each in (await answers(context)).advice]


async def test_process_that_is_just_starting_is_unknown(context: FakeContext) -> None:
    context.answers["status"] = CommandFailed("silence")
    context.lock_info = msgspec.structs.replace(INFO, url=None)
    assert (await answers(context)).status == "unknown"
    context.lock_info = None
    assert (await answers(context)).status == "unknown"


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
    context: FakeContext, use: DescriptorUse | None, status: str
) -> None:
    """One tier of five, and two hundred for everything else."""
    context.fakes.use = {42: use} if use is not None else {}
    assert (await has_descriptors(context)).status == status


async def test_who_may_not_raise_limits_is_told_another_way(context: FakeContext) -> None:
    context.fakes.use[42] = DescriptorUse(100, 100, 30)
    assert (await has_descriptors(context)).command == (
        "prlimit --pid 42 --nofile=205:205  # for good: LimitNOFILE= in the unit"
    )
    context.fakes.raises_limits = False
    (advice,) = (await has_descriptors(context)).advice
    assert advice.command.startswith("sudo prlimit")
    assert (advice.kind, advice.requires) == ("fix", "root")


@pytest.mark.parametrize(("limit", "status"), [(2**30, "ok"), (75 * 2**20, "warn"), (65 * 2**20, "fail"), (0, "skip")])
async def test_memory_is_held_against_what_there_is(context: FakeContext, limit: int, status: str) -> None:
    context.limits.limit_bytes = limit
    assert (await has_memory(context)).status == status


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
    context: FakeContext, p50: float, p99: float, uptime: float, status: str
) -> None:
    context.answers["status"] = status_document(
        loop_lag_ms={"p50": p50, "p99": p99, "max": 9000.0}, uptime_seconds=uptime
    )
    assert (await loop_is_free(context)).status == status


async def test_loop_of_a_machine_with_more_work_than_cores_may_be_later(context: FakeContext) -> None:
    context.load_factor = 4.0
    context.answers["status"] = status_document(loop_lag_ms={"p50": 300.0, "p99": 3000.0, "max": 9000.0})
    assert (await loop_is_free(context)).status == "ok"
    context.answers["status"] = status_document(loop_lag_ms={"p50": 600.0, "p99": 3000.0, "max": 9000.0})
    assert (await loop_is_free(context)).status == "fail", "clients notice that, whatever the reason"


def note(path: Path, how: How, *ages: float) -> None:
    for age in ages:
        record_start(path, Start(time.time() - age, 1, how))


async def test_deaths_of_the_last_hour_count_and_restarts_do_not(context: FakeContext) -> None:
    path = context.home.starts
    assert (await stays_up(context)).status == "ok"
    note(path, "restart", *range(1, 21))
    note(path, "after-crash", 10, 20, 4000, 5000, 6000)
    assert (await stays_up(context)).observed == "22 starts in the last hour: 20 by restart, 2 after a death"
    note(path, "after-crash", 5)
    assert (await stays_up(context)).status == "warn"


async def test_diary_of_nonsense_is_no_death(context: FakeContext) -> None:
    context.home.starts.write_bytes(b'\xff\xfe{{\n{"at": "x"}\n[]\n{"at": 1e300, "pid": 1, "how": "start"}\n')
    assert (await stays_up(context)).status == "ok"


async def test_home_of_another_user_is_unknown_and_says_as_whom_to_ask(context: FakeContext) -> None:
    async def refuse() -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", "/home/other/swim.lock")

    context.is_held = refuse  # type: ignore[method-assign]  # the test answers in its place
    answer = await lock_is_ours(context)
    assert answer.status == "unknown"
    assert str(answer.command).startswith("sudo -u ")


async def test_memory_of_what_shares_the_limit_counts_too(context: FakeContext) -> None:
    context.limits.memory = MemoryGroup(used=97, limit=100, kills=2)
    answer = await has_memory(context)
    assert answer.status == "fail"
    assert "with what shares its limit" in answer.observed
    assert "the kernel has ended 2 processes of it for want of memory" in answer.evidence
    assert "swimctl restart" not in [each.command for each in answer.advice], "it would free nothing"


async def test_address_space_that_is_used_up_is_told_with_its_limit(context: FakeContext) -> None:
    context.fakes.spaces[42] = AddressSpace(used=99, limit=100)
    answer = await has_memory(context)
    assert (answer.status, answer.fix) == ("fail", None)
    assert "(ulimit -v)" in answer.observed
    assert answer.advice[0].command == "prlimit --pid 42 --as=unlimited"
    context.fakes.hard_limits["RLIMIT_AS"], context.fakes.raises_limits = 100, False
    (again, _) = (await has_memory(context)).advice
    assert again.command == "swimctl stop && swimctl serve --detach", "nobody may raise a hard limit but root"
    assert again.requires is not None
    assert again.requires.startswith("its hard limit is 100 B; ")
    context.fakes.hard_limits["RLIMIT_AS"] = 10_000
    (wider, _) = (await has_memory(context)).advice
    assert wider.command == "prlimit --pid 42 --as=10000:10000"
    context.fakes.spaces[42] = AddressSpace(used=9, limit=100)
    assert (await has_memory(context)).status == "ok"


GIB = 2**30


@pytest.mark.parametrize(
    ("used", "settled", "clients", "status"),
    [
        (GIB, None, 0, "ok"),
        (GIB // 4, GIB // 16, 0, "ok"),
        (GIB, GIB // 16, 0, "warn"),
        (GIB, GIB // 16, 10_000, "ok"),
        (GIB, GIB // 2, 0, "ok"),
    ],
    ids=["young", "a little", "much", "as many clients do", "less than it was"],
)
async def test_growth_is_told_unless_clients_explain_it(
    context: FakeContext, used: int, settled: int | None, clients: int, status: str
) -> None:
    context.limits.limit_bytes = 64 * GIB
    more = {"memory_bytes": used, "memory_settled_bytes": settled, "uptime_seconds": 7200.0}
    context.answers["status"] = status_document(**more, connections={"total": clients, "by_tier": {}})
    answer = await has_memory(context)
    assert answer.status == status, answer
    if settled is not None:
        assert "more than ten seconds after its start, 2h" in answer.evidence[0]


@pytest.mark.parametrize(("settled", "is_offered"), [(GIB // 16, True), (GIB - 1, False)])
async def test_restart_is_offered_for_memory_that_the_process_itself_has_grown_by(
    context: FakeContext, settled: int, is_offered: bool
) -> None:
    context.limits.limit_bytes = GIB + 1
    context.answers["status"] = status_document(memory_bytes=GIB, memory_settled_bytes=settled)
    answer = await has_memory(context)
    assert answer.status == "fail"
    assert ("swimctl restart" in [each.command for each in answer.advice]) is is_offered


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        (None, "ok"),
        (ProcessorLimit(0.5, 1000, 50, 1.0), "ok"),
        (ProcessorLimit(0.5, 50, 50, 1.0), "ok"),
        (ProcessorLimit(0.5, 1000, 200, 1.0), "warn"),
        (ProcessorLimit(0.5, 1000, 900, 60.0), "fail"),
    ],
    ids=["none", "seldom", "young", "often", "mostly"],
)
async def test_quota_is_judged_by_how_often_it_holds_up(
    context: FakeContext, limit: ProcessorLimit | None, status: str
) -> None:
    context.limits.processor = limit
    assert (await has_processor_time(context)).status == status


async def test_program_on_the_other_localhost_is_told_and_one_elsewhere_is_not(context: FakeContext) -> None:
    fakes = context.fakes
    context.lock_info = INFO
    fakes.socket_inodes[7] = {"9"}
    fakes.open_by[7] = False
    fakes.heard = [Listener("0100007F", "7"), Listener("00000000000000000000000001000000", "9")]
    assert (await port_is_ours(context)).status == "warn"
    fakes.heard = [Listener("0100007F", "7"), Listener("0A00000A", "9")]
    assert (await port_is_ours(context)).status == "ok"


WORKERS = [
    {
        "number": number,
        "pid": 42 + number,
        "state": "ready",
        "memory_bytes": 30 * 2**20,
        "loop_lag_p99_ms": 10.0 * number,
    }
    for number in (1, 2)
]


async def test_worker_without_descriptors_left_is_named(context: FakeContext) -> None:
    context.answers["status"] = status_document(workers=WORKERS)
    context.fakes.use = {pid: DescriptorUse(20_000, 20_000, 30) for pid in (42, 43, 44)}
    assert (await has_descriptors(context)).status == "ok"
    context.fakes.use[44] = DescriptorUse(1024, 20_000, 1000)
    answer = await has_descriptors(context)
    assert (answer.status, answer.observed) == (
        "fail", "worker 2: 1,024 allowed, 1,000 open: it is given no more clients",
    )  # fmt: skip
    assert str(answer.command).startswith("prlimit --pid 44 --nofile=205:20000")


async def test_memory_of_workers_counts(context: FakeContext) -> None:
    context.limits.limit_bytes = 130 * 2**20
    assert (await has_memory(context)).status == "ok"
    context.answers["status"] = status_document(workers=WORKERS)
    answer = await has_memory(context)
    assert (answer.status, answer.evidence[0].partition(";")[2]) == ("fail", " the workers': 30.0 MiB, 30.0 MiB")


async def test_slowest_worker_is_named(context: FakeContext) -> None:
    context.answers["status"] = status_document(workers=WORKERS)
    assert (await loop_is_free(context)).observed.endswith("; the slowest worker is 2, p99 20 ms")
