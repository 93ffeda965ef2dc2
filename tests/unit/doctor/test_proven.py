"""What may be pasted, and what a person has to decide."""

from __future__ import annotations

import pytest

from swimctl.doctor.check import Advice, AdviceKind, decide, fail, inspect
from swimctl.doctor.proven import UNPROVEN, only_proven


def test_fix_that_is_proven_for_its_check_alone_stays_one() -> None:
    answer = fail("expected", "observed", fix="swimctl reload")
    assert only_proven("config.running", answer).fix == "swimctl reload"
    moved = only_proven("stream.sources", answer)
    assert (moved.fix, moved.advice) == (None, (decide("swimctl reload", UNPROVEN),))


@pytest.mark.parametrize(
    "command",
    ["kill -HUP 7", "sudo rm -r x", "ls; rm x", "swimctl stop && swimctl serve --detach", "systemctl restart swim",
     "git -C /srv/swim checkout 1234", "swimctl restart"],
)  # fmt: skip
def test_what_ends_or_deploys_something_is_never_harmless(command: str) -> None:
    for advice in (inspect(command), Advice(kind=AdviceKind.FIX, command=command)):
        (found,) = only_proven("x.y", fail("expected", "observed", advice=[advice])).advice
        assert (found.kind, found.requires) == (AdviceKind.DECIDE, UNPROVEN)
    told = decide(command, "clients move over")
    assert only_proven("x.y", fail("expected", "observed", advice=[told])).advice == (told,)


@pytest.mark.parametrize("command", ["ps -p 7", "swimctl status", "systemctl status swim", "ls /srv/rm", "git status"])
def test_what_only_looks_is_left_as_it_is(command: str) -> None:
    assert only_proven("x.y", fail("expected", "observed", advice=[inspect(command)])).advice == (inspect(command),)
