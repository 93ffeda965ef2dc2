"""Everything mypy is told to ignore has its code and its reason on the line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("swimctl", "server", "sdk/python", "tests")
IGNORED = re.compile(r"#\s*type:\s*ignore\b(?P<rest>.*)")
REASONED = re.compile(r"\[[a-z-]+(,\s?[a-z-]+)*\]  # \S.*")


def without_reason(text: str) -> list[str]:
    found = (IGNORED.search(line) for line in text.split("\n"))
    return [each[0] for each in found if each is not None and not REASONED.fullmatch(each["rest"])]


@pytest.mark.parametrize("end", ["", "[arg-type]", "[arg-type]  #", "  # a reason without a code"])
def test_line_without_code_or_reason_is_found(end: str) -> None:
    line = "call()  # " + "type: ignore" + end
    assert without_reason(line) == [line.removeprefix("call()  ")]


def test_line_with_both_is_well() -> None:
    assert without_reason("call()  # " + "type: ignore[misc, arg-type]  # the library has no types") == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_ignore_has_its_code_and_its_reason(folder: str) -> None:
    paths = [path for path in (ROOT / folder).rglob("*.py") if path != Path(__file__).resolve()]
    assert paths
    found = {str(path.relative_to(ROOT)): without_reason(path.read_text("utf-8")) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}
