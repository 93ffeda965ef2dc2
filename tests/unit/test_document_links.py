"""The pages as pages: links that lead somewhere, paths that exist, a short README, one changelog."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.documents import ROOT, Document, document, documents
from support.imports import LAYERS

PAGES = documents()
MAX_README_LINES = 150
_PATH = re.compile(r"\.?[A-Za-z][\w.*-]*/[\w./*-]*")
_TOP = {path.name for path in ROOT.iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Document) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Document) -> None:
    assert missing_paths(page) == []


def test_broken_link_and_missing_path_are_found() -> None:
    text = "[a](nothing.md) [b](README.md#nothing) [c](https://example.org/x) `server/nothing.py` `server/swim_server`"
    page = Document(ROOT / "X.md", text)
    assert broken_links(page) == ["nothing.md", "README.md#nothing"]
    assert missing_paths(page) == ["server/nothing.py"]


def broken_links(page: Document) -> list[str]:
    """Links to files that aren't there, and to headings that aren't in them."""
    broken = []
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or (anchor and anchor not in _anchors(page, target)):
            broken.append(link)
    return broken


def _anchors(page: Document, target: Path) -> set[str]:
    return page.anchors() if target == page.path else document(target.relative_to(ROOT).as_posix()).anchors()


def missing_paths(page: Document) -> list[str]:
    """Paths between backticks that exist neither from the root, nor from the page, nor in the server's package."""
    bases = (ROOT, page.path.parent, ROOT / "server" / "swim_server")
    named = [code for code in page.inline_code() if _PATH.fullmatch(code) and _is_ours(code, bases)]
    return [code for code in named if not any(_exists(base, code) for base in bases)]


def _is_ours(code: str, bases: tuple[Path, ...]) -> bool:
    """Whether it begins like a path of this project, or ends like a folder."""
    first = code.partition("/")[0]
    return first in _TOP or any((base / first).is_dir() for base in bases) or code.endswith("/")


def _exists(base: Path, code: str) -> bool:
    pattern = re.sub(r"[A-Z]{4,}", "*", code)  # swimctl/commands/NAME.py
    return any(base.glob(pattern)) if "*" in pattern else (base / code).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_python_can_be_parsed(page: Document) -> None:
    for block in page.blocks("python"):
        ast.parse(f"async def block():\n{re.sub(r'^', '    ', block, flags=re.MULTILINE)}\n    ...")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_is_broken_over_lines(page: Document) -> None:
    """Else nothing that looks for code in a page would see it."""
    assert [line for line in page.prose.splitlines() if line.count("`") % 2] == []


def test_readme_is_short() -> None:
    lines = document("README.md").text.count("\n")
    assert lines <= MAX_README_LINES, f"README.md has {lines} lines: what is longer has a page of its own"


def test_readme_names_the_newest_version_and_says_nothing_that_the_changelog_does_not() -> None:
    newest = document("server/CHANGELOG.md").text.split("\n## ")[1].strip()
    shown = document("README.md").section("Changelog").partition("### ")[2].strip()
    assert shown.splitlines()[0] == newest.splitlines()[0]
    words = set(re.findall(r"`[^`]+`", newest))
    assert set(re.findall(r"`[^`]+`", shown)) - words == set()


def test_every_decision_stands_in_their_list() -> None:
    folder = ROOT / "server" / "decisions"
    listed = [link for link in document("server/decisions/README.md").links() if link[:1].isdigit()]
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert listed == sorted(listed)


def test_every_folder_of_the_server_stands_in_its_page() -> None:
    package = ROOT / "server" / "swim_server"
    folders = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    rows = document("server/README.md").rows("Folders")
    named = [code for row in rows for code in re.findall(r"`(\w+/)`", row[0])]
    assert set(named) == folders
    layers = [LAYERS[f"swim_server.{code.rstrip('/')}"] for code in named]
    assert layers == sorted(layers), "from the ground up"
