"""Why a check came out as it did: for a terminal and for a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from swimctl.doctor.check import Result, Status
from swimctl.doctor.explain import Step
from swimctl.doctor.facts import Fact
from swimctl.render.doctor_explain import MOST_CHARACTERS, explained, explained_lines


def result(id: str, status: Status, observed: str, cause: str | None) -> Result:
    area = id.partition(".")[0]
    return Result(
        id=id, area=area, status=status, expected="all well", observed=observed, evidence=(), fix=None, seconds=0.1,
        cause=cause,
    )  # fmt: skip


def steps() -> list[Step]:
    ground = result("process.answers", Status.FAIL, "no\x1banswer", None)
    above = result("stream.sources", Status.SKIP, "skipped", "process.answers")
    facts = (
        Fact(name="process.status", source="the control socket", at=0.0, seconds=0.1, value={"pid": 7}),
        Fact(name="files.listing", source="the disk", at=1.5, seconds=0.1, value="x" * 1000),
    )
    return [Step(result=ground, facts=facts), Step(result=above, facts=())]


def test_terminal_shows_the_path_with_facts_and_what_explains_a_check() -> None:
    console = Console(file=io.StringIO(), width=500, color_system=None)
    console.print(explained(steps()))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.index("process.answers") < text.index("stream.sources")
    assert "(because of process.answers)" in text
    assert '{"pid":7}' in text
    assert "\x1b" not in text
    assert "x" * (MOST_CHARACTERS - 10) in text and "x" * MOST_CHARACTERS not in text


def test_pipe_has_a_line_for_each_check_and_each_fact() -> None:
    rows = [line.split("\t") for line in explained_lines(steps())]
    assert [row[:3] for row in rows] == [
        ["process.answers", "fail", "-"], ["process.answers", "fail", "process.status"],
        ["process.answers", "fail", "files.listing"], ["stream.sources", "skip", "-"],
    ]  # fmt: skip
    assert rows[1][3:] == ['{"pid":7}', "the control socket", "0.000"]
    assert all(len(row) == 6 for row in rows)
