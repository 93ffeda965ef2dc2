"""No restart is advised in a hurry where it would lose what another check has found."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swimctl.doctor.check import Advice, AdviceKind, Result, Status, decide
from swimctl.doctor.restarts import without_hasty_restarts

RESTART = "swimctl restart"


def result(id: str, status: Status = Status.FAIL, **more: Any) -> Result:
    return Result(
        id=id, area=id.partition(".")[0], status=status, expected="", observed=f"{id} is wrong", evidence=(),
        seconds=0.0, **{"fix": None, **more},
    )  # fmt: skip


CODE = result("code.process-is-disk", fix=RESTART)
ALONE = [
    [CODE],
    [CODE, result("config.running", fix=RESTART)],
    [CODE, result("config.running", Status.OK)],
    [CODE, result("front.upgrade")],
]


@pytest.mark.parametrize("results", ALONE, ids=["alone", "settings that lose nothing", "no settings", "another fault"])
def test_restart_that_loses_nothing_stays_a_fix(results: list[Result]) -> None:
    assert without_hasty_restarts(results) == results


@pytest.mark.parametrize("id", ["config.running", "process.files", "database.reachable"])
def test_restart_that_would_lose_something_is_decided_after_a_look(id: str) -> None:
    losing = result(id, advice=(decide(RESTART, "clients are refused"),))
    careful, same = without_hasty_restarts([CODE, losing])
    assert same == losing
    assert careful.fix is None
    assert [(each.kind, each.command) for each in careful.advice] == [
        (AdviceKind.INSPECT, f"swimctl doctor --only {id}"), (AdviceKind.DECIDE, RESTART),
    ]  # fmt: skip
    assert all(f"{id} is wrong" in str(each.requires) for each in careful.advice)


def test_decision_to_restart_comes_after_the_look_and_other_advice_stays_as_it_is() -> None:
    losing = result("process.files")
    decision = msgspec.structs.replace(CODE, fix=None, advice=(decide(RESTART, "the code on disk starts to run"),))
    other = result("host.folders", fix="mkdir -p x", advice=(Advice(kind=AdviceKind.INSPECT, command="ls x"),))
    careful, same, _ = without_hasty_restarts([decision, other, losing])
    assert [each.command for each in careful.advice] == ["swimctl doctor --only process.files", RESTART]
    assert same == other
