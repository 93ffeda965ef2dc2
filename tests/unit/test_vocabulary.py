"""The former dialect does not come back: no identifier, module or log field is named by it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("server", "swimctl", "sdk", "tests")

IDENTIFIERS = frozenset({
    "Attendance", "Crowd", "Door", "Entrance", "Examination", "Examined", "FlightRoom", "Footing", "Garbage",
    "Happened", "Happening", "HungUp", "Inheritance", "LIVING", "Outlet", "Postings", "ProgramRoom", "Pulse", "Room",
    "Section", "Starts", "Stay", "Traits", "Verdict", "Wanted", "Wheel", "Wish", "attendance", "bring_up", "dismiss",
    "footing", "give_way", "heed", "hurry", "in_turns", "judge_stay", "make_room", "outlet", "recollect",
    "stand_aside", "throw_away", "turn_out", "verdict",
})  # fmt: skip
"""Classes, functions, parameters, attributes and variables that had these names have those of the field now."""
MODULES = frozenset({
    "attempts", "attendance", "crowd", "dial", "door", "entrance", "examination", "examined", "findings", "footing",
    "garbage", "happening", "hiding", "mending", "outlet", "past", "patience", "places", "presented", "pulse",
    "recollection", "section", "seek", "showing", "stage", "threads", "throw_away", "traits", "turns", "verdict",
    "when", "written",
})  # fmt: skip
LOG_FIELDS = frozenset({"room"})
PHRASES = re.compile(
    r"\b(anew|for ever|goes on|has trouble|just now|lets? in|mended|somebody|turned away|whoever|whom)\b", re.IGNORECASE
)
"""What made native speakers stumble in help, errors and log lines."""
LOGGING = frozenset({"bind", "critical", "debug", "error", "exception", "get_logger", "info", "log", "msg", "warning"})


def dialect(source: str) -> Iterator[str]:
    """Yield each identifier and log field of the former dialect in a module's code, with its line."""
    yield from _dialect_of(ast.parse(source))


def _dialect_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for name in _names(node):
            if name.strip("_") in IDENTIFIERS:
                yield f"{getattr(node, 'lineno', 0)}: {name}"
        if isinstance(node, ast.Call) and _called(node) in LOGGING:
            yield from (f"{node.lineno}: log field {each.arg}=" for each in node.keywords if each.arg in LOG_FIELDS)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg | ast.keyword):
        if node.arg is not None:
            yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.rpartition(".")[2]


def _called(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def stilted(source: str) -> Iterator[str]:
    """Yield each text that may be shown and has a phrase of the former dialect, with its line; docstrings apart."""
    yield from _stilted_of(ast.parse(source))


def _stilted_of(tree: ast.AST) -> Iterator[str]:
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            yield from (f"{node.lineno}: {found[0]}" for found in PHRASES.finditer(node.value))


def module_is_named_in_dialect(path: Path) -> bool:
    """Tell by the name of a module, or of its test."""
    return path.stem.removeprefix("test_") in MODULES


def modules() -> list[Path]:
    """List every Python module of the project."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "node_modules" not in path.parts]


@cache
def judged() -> tuple[list[str], list[str]]:
    """Parse every module once: identifiers and log fields of the former dialect, and stilted texts that are shown."""
    names, texts = [], []
    for path in modules():
        tree, name = ast.parse(path.read_text("utf-8")), path.relative_to(ROOT)
        names += [f"{name}:{each}" for each in _dialect_of(tree)]
        if name.parts[0] in ("server", "swimctl"):
            texts += [f"{name}:{each}" for each in _stilted_of(tree)]
    return names, texts


def test_no_identifier_or_log_field_is_of_the_former_dialect() -> None:
    assert judged()[0] == []


def test_no_module_is_named_in_the_former_dialect() -> None:
    assert [path for path in modules() if module_is_named_in_dialect(path)] == []


def test_no_help_error_or_log_line_is_stilted() -> None:
    assert judged()[1] == []


@pytest.mark.parametrize(
    "code",
    [
        "class Door: ...",
        "def turn_out(): ...",
        "self.attendance.note()",
        "def f(outlet): ...",
        "f(hurry=True)",
        "from x import Wheel",
        "get_logger(room='keys')",
        "log.info('connected', room='gateway')",
        "_verdict = 1",
    ],
)
def test_word_of_the_former_dialect_is_found(code: str) -> None:
    assert list(dialect(code)) != []


@pytest.mark.parametrize(
    "code", ["room = 3", "disk(room=3)", "Doors = 1", "'the door'  # a door", "log.info('a door')"]
)
def test_common_word_and_prose_are_left_alone(code: str) -> None:
    assert list(dialect(code)) == []


@pytest.mark.parametrize("name", ["door.py", "server/swim_server/keys/past.py", "tests/unit/test_verdict.py"])
def test_module_of_the_former_dialect_is_found(name: str) -> None:
    assert module_is_named_in_dialect(Path(name))
    assert not module_is_named_in_dialect(Path("server/swim_server/keys/store.py"))


@pytest.mark.parametrize(
    "code", ["f(help='Begin anew.')", "log.info(f'{name} goes on')", "raise E('keys can\\'t be checked just now')"]
)
def test_stilted_text_is_found(code: str) -> None:
    assert list(stilted(code)) != []


def test_docstring_and_plain_text_are_not_stilted() -> None:
    assert list(stilted('def f():\n    """It goes on for whoever asks."""\n    g("It continues.")')) == []
