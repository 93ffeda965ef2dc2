"""What depends on what: the lowest broken check is reported once, with what follows from it."""

from __future__ import annotations

import msgspec
import pytest

from swimctl.doctor.catalogue import all_checks
from swimctl.doctor.check import UNLOADABLE, Advice, AdviceKind, Answer, Check, Result, Status, command_in, fail
from swimctl.doctor.context import DoctorContext
from swimctl.doctor.graph import EXPLAINED_BY, Graph, Layer, layer_of, with_causes
from swimctl.doctor.proven import PROVEN, UNPROVEN, only_proven
from swimctl.doctor.report import Report

CATALOGUE = all_checks()
GRAPH = Graph(CATALOGUE)


async def never(context: DoctorContext) -> Answer:
    raise AssertionError("nobody asks it")


def result(id: str, status: Status, fix: str | None = None) -> Result:
    return Result(
        id=id, area=id.partition(".")[0], status=status, expected="a", observed="b", evidence=(), fix=fix, seconds=0.0
    )


def causes(*results: Result) -> dict[str, str | None]:
    return {each.id: each.cause for each in with_causes(results, GRAPH)}


def test_every_check_has_a_layer_and_rests_on_checks_that_exist() -> None:
    known = {check.id for check in CATALOGUE}
    assert {id for id in EXPLAINED_BY if id not in known} == set()
    assert {below for each in EXPLAINED_BY.values() for below in each if below not in known} == set()
    assert [id for id in known if not isinstance(layer_of(id), Layer)] == []


def test_disk_stands_before_everything_and_clients_last() -> None:
    order = list(GRAPH.order)
    assert order.index("host.disk") < order.index("install.files") < order.index("process.lock")
    assert order.index("process.answers") < order.index("code.process-is-disk") < order.index("database.in-use")
    assert layer_of(order[-1]) is Layer.CLIENTS
    assert order.index("process.files") < order.index("database.reachable"), "the process, then what it reads"


def test_checks_that_rest_on_each_other_in_a_circle_are_refused() -> None:
    checks = [
        Check(id="host.one", summary="a", ask=never, needs=("host.two",)),
        Check(id="host.two", summary="b", ask=never, needs=("host.one",)),
    ]
    with pytest.raises(AssertionError, match="circle"):
        Graph(checks)


def test_full_disk_explains_all_that_is_written_to_it() -> None:
    found = causes(
        result("stream.history-sound", Status.FAIL),
        result("stream.history-writable", Status.FAIL),
        result("database.writable", Status.FAIL),
        result("keys.hashed", Status.WARN),
        result("host.disk", Status.FAIL),
    )
    assert found == {
        "stream.history-sound": "host.disk",
        "stream.history-writable": "host.disk",
        "database.writable": "host.disk",
        "keys.hashed": None,  # the database can be read: the disk does not explain what stands in it
        "host.disk": None,
    }


def test_warning_explains_no_failure_and_what_is_well_explains_nothing() -> None:
    found = causes(
        result("host.disk", Status.WARN),
        result("stream.history-writable", Status.FAIL),
        result("process.loop", Status.OK),
    )
    assert set(found.values()) == {None}


def test_what_follows_has_nothing_to_be_pasted_before_its_cause_is_well() -> None:
    _, second = with_causes(
        [
            result("config.running", Status.FAIL, "swimctl reload"),
            result("tiers.in-force", Status.FAIL, "swimctl reload"),
        ],
        GRAPH,
    )
    assert second.fix is None
    assert second.advice == (
        Advice(
            kind=AdviceKind.DECIDE, command="swimctl reload", requires="if it is still so when config.running is well"
        ),
    )


def test_report_tells_causes_alone_the_lowest_first() -> None:
    results = [
        result("front.tcp", Status.FAIL),
        result("connections.expected", Status.FAIL),
        result("stream.history-writable", Status.FAIL),
        result("host.disk", Status.FAIL),
        result("install.files", Status.WARN),
    ]
    report = Report(subject="/home", results=tuple(with_causes(results, GRAPH)), order=GRAPH.order, seconds=0.1)
    assert [each.id for each in report.problems] == ["host.disk", "front.tcp", "install.files"]
    assert [each.id for each in report.following("host.disk")] == ["stream.history-writable"]
    assert report.document()["first"] == "host.disk"
    assert not report.is_ok


def test_code_that_can_not_be_loaded_is_told_by_what_is_wrong_with_it() -> None:
    broken = msgspec.structs.replace(result("keys.hashed", Status.UNKNOWN), observed=f"{UNLOADABLE}: invalid syntax")
    assert causes(broken, result("code.compiles", Status.FAIL))["keys.hashed"] == "code.compiles"
    assert causes(broken)["keys.hashed"] is None


def test_path_leads_from_the_ground_to_the_check() -> None:
    path = GRAPH.path("stream.history-writable")
    assert path[-1] == "stream.history-writable"
    assert path.index("host.disk") < path.index("process.running") < path.index("process.answers")


def test_fix_that_no_test_pastes_is_never_in_front() -> None:
    answer = only_proven("connections.counted", fail("a", "b", fix="swimctl restart"))
    assert (answer.fix, answer.advice[0].kind, answer.advice[0].requires) == (None, AdviceKind.DECIDE, UNPROVEN)
    proven = only_proven("config.running", fail("a", "b", fix="swimctl reload"))
    assert (proven.fix, proven.advice) == ("swimctl reload", ())
    other = only_proven("config.running", fail("a", "b", fix="swimctl reload; rm -rf /"))
    assert other.fix is None


def test_every_proven_fix_is_pasted_for_a_fault_of_its_check() -> None:
    from support import doctor_faults_cases, doctor_faults_process, doctor_faults_service

    faults = (*doctor_faults_process.FAULTS, *doctor_faults_service.FAULTS, *doctor_faults_cases.FAULTS)
    pasted = {id for fault in faults if fault.is_mended_by_paste for id in fault.fires}
    pasted |= {"process.descriptors", "host.ownership"}  # as root only; the latter in test_advice
    pasted |= {"host.log"}  # in test_rows
    assert set(PROVEN) - pasted == set()


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("swimctl restart", "swimctl restart"),
        ("start it with: swimctl serve --detach", "swimctl serve --detach"),
        ("SWIM_API_KEY=… swimctl doctor --url ws://x/", "SWIM_API_KEY=… swimctl doctor --url ws://x/"),
        ("look into the log", None),
        (None, None),
    ],
)
def test_only_a_command_of_a_next_step_is_to_be_typed(step: str | None, command: str | None) -> None:
    assert command_in(step) == command
