"""Selection, order, exit code and formats of a report."""

from __future__ import annotations

import re
from typing import Any

import pytest

from swimctl.doctor.catalogue import AREAS, all_checks
from swimctl.doctor.check import Result, Status
from swimctl.doctor.report import Report, is_absent
from swimctl.doctor.run import in_order
from swimctl.doctor.selection import Choice, select
from swimctl.errors import WrongUsage
from swimctl.output import Output
from swimctl.render.doctor import lines, listing, nagios, prometheus
from swimctl.render.doctor_picture import picture

CATALOGUE = all_checks()


def result(id: str, status: Status, observed: str = "so", fix: str | None = None) -> Result:
    return Result(
        id=id, area=id.partition(".")[0], status=status, expected="other", observed=observed, evidence=(), fix=fix,
        seconds=0.01,
    )  # fmt: skip


def report(*results: Result, **more: Any) -> Report:
    return Report(subject="/home", results=results, seconds=0.5, **more)


WELL = result("install.files", Status.OK)
WARNED = result("config.valid", Status.WARN)
FAILED = result("process.running", Status.FAIL, "none does", "swimctl serve --detach")
UNKNOWN = result("code.version", Status.UNKNOWN)


def test_ids_are_unique_and_of_known_areas_and_need_what_exists() -> None:
    ids = [check.id for check in CATALOGUE]
    assert len(ids) == len(set(ids))
    for check in CATALOGUE:
        assert check.area in AREAS
        assert re.fullmatch(r"[a-z]+\.[a-z0-9-]+", check.id)
        assert set(check.needs) <= set(ids), check.id
    in_order(CATALOGUE)


@pytest.mark.parametrize(
    ("found", "code", "is_ok"),
    [
        (report(WELL), 0, True),
        (report(WELL, WARNED), 0, True),
        (report(WARNED, is_strict=True), 1, False),
        (report(FAILED), 1, False),
        (report(UNKNOWN), 1, False),
        (report(FAILED, is_absent=True), 3, False),
    ],
    ids=["well", "warned", "strict", "failed", "unknown", "absent"],
)
def test_exit_code_and_ok_say_the_same(found: Report, code: int, is_ok: bool) -> None:
    assert (found.exit_code, found.is_ok, found.document()["ok"]) == (code, is_ok, is_ok)


def test_worst_comes_first_and_of_these_the_deepest_ground() -> None:
    found = report(WARNED, FAILED, UNKNOWN, result("host.disk", Status.FAIL))
    assert [each.id for each in found.problems] == ["process.running", "host.disk", "code.version", "config.valid"]
    assert found.document()["first"] == "process.running"


def test_absent_is_who_has_no_root() -> None:
    assert is_absent([FAILED], frozenset({"process.running"}))
    assert not is_absent([FAILED], frozenset({"process.lock"}))


def test_area_brings_its_ground_which_is_shown_only_when_broken() -> None:
    selection = select(CATALOGUE, Choice(["code,host.disk"], ["code.commit"]), is_deep=False, is_outside=False)
    asked = {check.id for check in selection.asked}
    assert "code.version" in asked
    assert "host.disk" in asked
    assert "code.commit" not in asked
    dependencies = {check.id for check in selection.dependencies}
    assert {"process.lock", "process.running", "process.answers", "config.valid"} <= dependencies
    assert selection.shown([WELL], CATALOGUE) == []
    assert selection.shown([FAILED, result("code.version", Status.SKIP)], CATALOGUE)[0] is FAILED


@pytest.mark.parametrize("words", [["confg"], ["code.proces-is-disk"], ["host,nonsense"]])
def test_unknown_area_is_refused_with_the_nearest(words: list[str]) -> None:
    with pytest.raises(WrongUsage):
        select(CATALOGUE, Choice(words), is_deep=False, is_outside=False)


def test_nothing_left_is_refused() -> None:
    with pytest.raises(WrongUsage, match="no check is left"):
        select(CATALOGUE, Choice(["code"], ["code"]), is_deep=False, is_outside=False)


def test_piped_lines_have_four_cells_whatever_was_observed() -> None:
    hostile = result("host.log", Status.WARN, "a\tb\nc\x1b[2Jd", "x\ny")
    assert lines(report(WELL, hostile)) == [
        "ok\tinstall.files\tso\t-",
        "warn\thost.log\ta b c�[2Jd\tx y",
    ]


@pytest.mark.parametrize(
    ("found", "begin", "code"),
    [
        (report(WELL), "SWIM OK - 1 check well | ok=1 warn=0 fail=0 skip=0 unknown=0 seconds=0.5s", 0),
        (report(WARNED), "SWIM WARNING - config.valid: so | ", 1),
        (report(WARNED, is_strict=True), "SWIM CRITICAL - ", 2),
        (report(FAILED, WARNED), "SWIM CRITICAL - process.running: none does; config.valid: so | ", 2),
        (report(UNKNOWN), "SWIM UNKNOWN - ", 3),
    ],
    ids=["well", "warned", "strict", "failed", "unknown"],
)
def test_nagios_line(found: Report, begin: str, code: int) -> None:
    line, exit_code = nagios(found)
    assert line.startswith(begin)
    assert exit_code == code


def test_nagios_line_is_one_line_with_one_bar() -> None:
    line, _ = nagios(report(result("host.log", Status.FAIL, "a|b\nc")))
    assert line.count("|") == 1
    assert "\n" not in line


def test_prometheus_text_is_an_exposition() -> None:
    text = prometheus(report(WELL, FAILED), 1768573815.123)
    assert "swim_doctor_ok 0\n" in text
    assert 'swim_doctor_check{area="process",check="process.running",status="fail"} 1\n' in text
    assert 'swim_doctor_check{area="process",check="process.running",status="ok"} 0\n' in text
    assert text.endswith("swim_doctor_run_time_seconds 1768573815.123")
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) swim_\S+ .+|swim_doctor_\w+(\{[^}]*\})? [0-9.e+-]+", line)


def test_picture_never_breaks_what_is_to_be_pasted() -> None:
    import io

    fix = f"sed -i '1s/a/b/' {'/very/long' * 20}/swim.toml"
    stream = io.StringIO()
    output = Output(stream, is_terminal=True, width=60)
    output.console(60).print(picture(report(result("config.valid", Status.FAIL, "x", fix), WELL)), crop=False)
    text = stream.getvalue()
    assert fix in text
    assert text.index("config.valid   look here first") < text.index("install  files")


def test_picture_on_a_screen_folds_what_would_be_cut() -> None:
    import io

    fix = "useradd --system --home-dir /var/lib/swim --shell /usr/sbin/nologin swim"
    output = Output(io.StringIO(), is_terminal=True, width=60)
    found = report(result("config.valid", Status.FAIL, "x", fix), WELL)
    lines = output.console(60).render_lines(picture(found, is_screen=True), pad=False)
    shown = ["".join(segment.text for segment in line) for line in lines]
    assert max(map(len, shown)) <= 60
    assert fix in " ".join(" ".join(shown).split())


def test_listing_names_every_check() -> None:
    rows = listing(CATALOGUE)
    assert [row["id"] for row in rows] == [check.id for check in CATALOGUE]
    assert next(row["when"] for row in rows if row["id"] == "process.lock") == "fix"


def test_from_outside_a_made_up_key_is_tried_only_at_a_door_that_is_there() -> None:
    selection = select(all_checks(), Choice(["keys"]), is_deep=False, is_outside=True)
    assert [check.needs for check in selection.asked] == [("front.certificate",)]
    assert "front.tcp" in {check.id for check in selection.dependencies}
