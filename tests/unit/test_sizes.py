"""Modules and functions stay short, docstrings of functions begin with a verb; the judge fails on what breaks that."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 300
LONGER = {
    "server/swim_server/brokers/served_history.py": (340, "reading, delivery and upkeep share one writer thread"),
    "server/swim_server/daemon/service.py": (370, "the life of the process, told in one place"),
    "server/swim_server/detection/comparison.py": (320, "the rules for one flight between two snapshots"),
    "server/swim_server/gateway/endpoint.py": (490, "one state machine; a layer in it would cost every message"),
    "server/swim_server/streaming/connection.py": (320, "one state machine; a layer in it would cost every delivery"),
    "server/swim_server/streaming/hub.py": (355, "matching and writing share state; a layer would cost every delivery"),
}
"""Modules of the service that are longer, with how long and why."""
MAX_FUNCTION_LINES = 60
FOLDERS = ("server", "swimctl", "sdk")
NO_VERBS = frozenset({
    "a", "about", "all", "also", "although", "an", "and", "another", "any", "as", "at", "because", "before", "both",
    "but", "by", "can", "during", "each", "either", "every", "everybody", "everything", "few", "for", "from", "how",
    "if", "in", "into", "it", "its", "less", "many", "may", "more", "most", "must", "neither", "never", "no", "nobody",
    "none", "nor", "not", "nothing", "now", "of", "off", "often", "on", "once", "one", "only", "or", "other", "our",
    "same", "several", "should", "since", "so", "some", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "those", "to", "twice", "two", "under", "until", "what", "whatever", "when", "where", "whether",
    "which", "while", "who", "whoever", "whose", "why", "with", "within", "without", "your",
})  # fmt: skip
"""Words of which none is a verb's imperative; ``ruff`` (D401) finds verbs in another form."""


class Function(NamedTuple):
    """What is judged of a function."""

    name: str
    lines: int
    summary: str
    """The first line of its docstring; empty for a property, and without one."""


@cache
def modules(folder: str) -> dict[str, tuple[int, list[Function]]]:
    """Return the number of lines and the functions of every module in a folder, by its path in the repository."""
    paths = (path for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts)
    sources = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    return {path: (source.count("\n"), functions(source)) for path, source in sources.items()}


def functions(source: str) -> list[Function]:
    """List every function and method."""
    return [
        Function(node.name, (node.end_lineno or node.lineno) - node.lineno + 1, _summary(node))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _summary(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    names = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in node.decorator_list}
    if not names.isdisjoint({"property", "cached_property", "setter"}):
        return ""
    return (ast.get_docstring(node) or "").partition("\n")[0]


def is_long(function: Function) -> bool:
    """Tell whether it has more lines than a function may have."""
    return function.lines > MAX_FUNCTION_LINES


def lacks_verb(function: Function) -> bool:
    """Tell whether its docstring begins with anything but a verb."""
    text = function.summary
    return bool(text) and (not text[0].isalpha() or text.split()[0].lower() in NO_VERBS)


def too_long(lines: dict[str, int]) -> list[str]:
    """Name the modules that are longer than they may be, and exceptions that are needed no more."""
    limits = {path: limit for path, (limit, _) in LONGER.items()}
    found = [f"{path}: {count} lines" for path, count in lines.items() if count > limits.get(path, MAX_LINES)]
    return found + [f"{path}: no exception is needed" for path in limits if lines.get(path, 0) <= MAX_LINES]


def test_no_module_of_the_service_is_long_without_a_reason() -> None:
    assert too_long({path: lines for path, (lines, _) in modules("server").items()}) == []


@pytest.mark.parametrize("folder", ["server", "swimctl"])
def test_no_function_is_long(folder: str) -> None:
    found = {path: [each for each in found if is_long(each)] for path, (_, found) in modules(folder).items()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_of_functions_begin_with_a_verb(folder: str) -> None:
    found = {path: [each for each in found if lacks_verb(each)] for path, (_, found) in modules(folder).items()}
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_long_module_and_needless_exception_are_found() -> None:
    lines = dict.fromkeys(LONGER, MAX_LINES + 1)
    (path, (limit, _)) = next(iter(LONGER.items()))
    assert too_long(lines | {"server/new.py": MAX_LINES}) == []
    assert too_long(lines | {"server/new.py": MAX_LINES + 1}) == [f"server/new.py: {MAX_LINES + 1} lines"]
    assert too_long(lines | {path: limit + 1}) == [f"{path}: {limit + 1} lines"]
    assert too_long(lines | {path: MAX_LINES}) == [f"{path}: no exception is needed"]


@pytest.mark.parametrize("excess", [0, 1])
def test_long_function_is_found(excess: int) -> None:
    body = "    pass\n" * (MAX_FUNCTION_LINES - 1 + excess)
    (function,) = functions(f"class A:\n  async def f():\n{body}")
    assert is_long(function) is bool(excess)


@pytest.mark.parametrize("text", ["The newest id.", "Whether it is open.", "How many there are.", "``x``: what it is."])
def test_docstring_without_a_verb_is_found(text: str) -> None:
    (function,) = functions(f'def f():\n    """{text}"""')
    assert lacks_verb(function)


@pytest.mark.parametrize(
    "code",
    [
        'def f():\n    """Return the newest id."""',
        'class A:\n    @property\n    def f(self):\n        """The newest id."""',
        "def f():\n    pass",
    ],
)
def test_docstring_with_a_verb_of_a_property_or_none_is_well(code: str) -> None:
    (function,) = functions(code)
    assert not lacks_verb(function)
