"""What a watch reports: what begins, changes and ends, once each, with its time."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from swimctl.doctor.changes import KEPT, Change, Event, Watch
from swimctl.doctor.check import Result, Status
from swimctl.doctor.graph import Graph, with_causes
from swimctl.doctor.report import Report
from swimctl.doctor.request import check_program
from swimctl.doctor.watching import tell
from swimctl.errors import WrongUsage
from swimctl.output import Output


def result(id: str, status: Status, observed: str = "so") -> Result:
    return Result(
        id=id, area=id.partition(".")[0], status=status, expected="a", observed=observed, evidence=(), fix=None,
        seconds=0.0,
    )  # fmt: skip


def report(*results: Result) -> Report:
    from swimctl.doctor.catalogue import all_checks

    graph = Graph(all_checks())
    return Report(subject="/home", results=tuple(with_causes(results, graph)), order=graph.order, seconds=0.1)


DISK = result("host.disk", Status.FAIL, "full")
HISTORY = result("stream.history-writable", Status.FAIL)


def test_problem_is_told_when_it_begins_and_ends_and_not_between() -> None:
    watch = Watch()
    assert watch.see(report(result("host.disk", Status.OK)), 1.0) == []
    (begins,) = watch.see(report(DISK, HISTORY), 10.0)
    assert (begins.event, begins.check, begins.follows) == (Event.BEGINS, "host.disk", ("stream.history-writable",))
    assert watch.see(report(DISK, HISTORY), 20.0) == []
    (ends,) = watch.see(report(result("host.disk", Status.OK)), 70.0)
    assert (ends.event, ends.check, ends.since, ends.at) == (Event.ENDS, "host.disk", 10.0, 70.0)
    assert ends.line.endswith("ends     host.disk, fail for 1m")


def test_worse_or_better_is_a_change_that_keeps_its_beginning() -> None:
    watch = Watch()
    watch.see(report(result("host.disk", Status.WARN)), 10.0)
    (change,) = watch.see(report(DISK), 20.0)
    assert (change.event, change.since, change.status) == (Event.CHANGES, 10.0, "fail")


def test_what_followed_is_told_for_itself_when_its_cause_has_ended() -> None:
    watch = Watch()
    watch.see(report(DISK, HISTORY), 10.0)
    changes = watch.see(report(HISTORY), 20.0)
    assert [(each.event, each.check) for each in changes] == [
        (Event.ENDS, "host.disk"),
        (Event.BEGINS, "stream.history-writable"),
    ]


def test_changes_that_are_remembered_are_bounded() -> None:
    watch = Watch()
    for number in range(KEPT):
        watch.see(report(DISK), float(number))
        watch.see(report(), float(number))
    assert len(watch.changes) == KEPT


CHANGE = Change(event=Event.BEGINS, check="host.disk", at=1795784915.3, since=1795784915.3, status="fail", observed="x")


def test_program_gets_the_change_as_json_without_a_shell(tmp_path: Path) -> None:
    script, told = tmp_path / "notify.py", tmp_path / "told $(date); x"
    script.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read())\n", "utf-8")
    errors = StringIO()
    for _ in range(2):
        tell([sys.executable, str(script), str(told)], CHANGE, "/home", Output(errors))
    lines = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert lines[0] == lines[1]
    assert lines[0]["event"] == "begins"
    assert lines[0]["check"] == "host.disk"
    assert lines[0]["at"] == "2026-11-27T13:08:35.300Z"
    assert errors.getvalue() == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [("raise SystemExit('no network')", "ended with 1 (host.disk): no network"), ("exit(3)", "ended with 3")],
)
def test_program_that_fails_is_told_and_nothing_else_happens(tmp_path: Path, code: str, said: str) -> None:
    errors = StringIO()
    tell([sys.executable, "-c", code], CHANGE, "/home", Output(errors))
    assert said in errors.getvalue()


def test_program_that_is_gone_is_told(tmp_path: Path) -> None:
    errors = StringIO()
    tell([str(tmp_path / "none")], CHANGE, "/home", Output(errors))
    assert "could not be run: No such file or directory" in errors.getvalue()


@pytest.mark.parametrize("command", ["", "  ", "/no/such/program --x", "'unclosed"])
def test_program_that_can_not_be_run_is_refused_at_once(command: str) -> None:
    with pytest.raises(WrongUsage, match="--on-change"):
        check_program(command)
