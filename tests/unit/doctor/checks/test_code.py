"""What doctor concludes about the code: process, disk, expectation."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.fake_context import FILES, ROOTS, FakeContext, version_document
from swim_server.config import Config, ExpectConfig

from swimctl.doctor.checks.code import (
    commit_is_expected,
    differing_files,
    process_is_disk,
    same_copy,
    same_python,
    version_is_expected,
)


@pytest.fixture
def here(context: FakeContext, tmp_path: Path) -> FakeContext:
    """The packages' folders exist."""
    roots = {name: str(tmp_path / name) for name in ROOTS}
    for folder in roots.values():
        Path(folder).mkdir()
    context.answers["version"] = version_document(roots=roots)
    context.on_disk = msgspec.structs.replace(context.on_disk, roots=roots)
    return context


def test_files_differ_in_three_ways() -> None:
    assert differing_files({"a": "1", "b": "1", "c": "1"}, {"a": "2", "b": "1", "d": "1"}) == [
        "a: changed",
        "c: not on disk any more",
        "d: new on disk",
    ]


async def test_process_that_runs_what_is_on_disk_is_well(here: FakeContext) -> None:
    assert (await process_is_disk(here)).status == "ok"
    assert (await same_copy(here)).status == "ok"


async def test_changed_file_is_named(here: FakeContext) -> None:
    here.elsewhere = {**FILES, "swim_server/logs.py": "c" * 64}
    answer = await process_is_disk(here)
    assert (answer.status, answer.command) == ("fail", "swimctl restart")
    assert answer.evidence == ("swim_server/logs.py: changed",)
    assert "1 file other than in the process: swim_server/logs.py" in answer.observed


async def test_many_files_are_counted_and_the_first_named(here: FakeContext) -> None:
    here.elsewhere = {f"swimctl/{number:03}.py": "0" for number in range(100)}
    answer = await process_is_disk(here)
    assert answer.evidence[-1] == "and 82 more"
    assert "102 files" in answer.observed


async def test_folder_that_is_gone_is_told(context: FakeContext) -> None:
    answer = await process_is_disk(context)
    assert (answer.status, answer.command) == ("fail", "swimctl restart")
    assert "/srv/swim_server, where it was started from, is gone" in answer.observed


async def test_process_of_an_older_version_tells_no_folders(context: FakeContext) -> None:
    context.answers["version"] = {"version": "0.9", "fingerprint": "f", "files": FILES, "pid": 42}
    assert (await process_is_disk(context)).status == "ok"
    assert (await same_copy(context)).status == "skip"
    assert (await same_python(context)).status == "skip"


async def test_other_folder_with_other_code_fails_and_with_the_same_warns(here: FakeContext) -> None:
    here.on_disk = msgspec.structs.replace(here.on_disk, roots={"swimctl": "/elsewhere"})
    assert (await same_copy(here)).status == "warn"
    here.on_disk = msgspec.structs.replace(here.on_disk, files={})
    assert (await same_copy(here)).status == "fail"


async def test_hostile_answer_of_a_process_is_compared_as_text(here: FakeContext) -> None:
    here.answers["version"] = version_document(files={"x\x1b[2J": "\x1b"}, roots=here.on_disk.roots)
    assert (await process_is_disk(here)).status == "fail"


async def test_package_upgraded_since_the_start_is_named(here: FakeContext) -> None:
    assert (await same_python(here)).status == "ok"
    here.on_disk = msgspec.structs.replace(here.on_disk, dependencies={"msgspec": "0.20"})
    answer = await same_python(here)
    assert (answer.status, answer.evidence) == ("fail", ("msgspec: 0.19 in the process, 0.20 installed",))


async def test_expected_version_of_the_option_goes_before_the_configurations(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, expect_version="1.0.0")
    context.config = Config(expect=ExpectConfig(version="2.0.0"))
    assert (await version_is_expected(context)).status == "ok"


async def test_other_version_than_expected_fails(context: FakeContext) -> None:
    assert (await version_is_expected(context)).status == "skip"
    context.config = Config(expect=ExpectConfig(version="2.0.0"))
    answer = await version_is_expected(context)
    assert (answer.status, answer.expected) == ("fail", "version 2.0.0")


@pytest.mark.parametrize(
    ("wanted", "running", "disk", "status"),
    [
        (None, "c0ffee1", "c0ffee1", "skip"),
        ("c0ffee", "c0ffee1", "c0ffee1", "ok"),
        ("C0FFEE", "c0ffee1", "c0ffee1", "ok"),
        ("c0ffee", "beef", "c0ffee1", "fail"),
        ("c0ffee", "beef", "beef", "fail"),
        ("c0ffee", None, None, "unknown"),
    ],
)
async def test_expected_commit_may_be_short(
    context: FakeContext, wanted: str | None, running: str | None, disk: str | None, status: str
) -> None:
    context.config = Config(expect=ExpectConfig(commit=wanted))
    context.answers["version"] = version_document(commit=running)
    context.on_disk = msgspec.structs.replace(context.on_disk, commit=disk)
    assert (await commit_is_expected(context)).status == status
