"""Reads the project's Markdown: its tables, code, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_CODE = re.compile(r"`([^`\n]+)`")


class Document(NamedTuple):
    """One page."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path relative to the root: ``server/README.md``."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """Return the code blocks in a language, in order."""
        return [code for found, code in _FENCE.findall(self.text) if found == language]

    def inline_code(self) -> list[str]:
        """What is written between single backticks; in tables ``\\|`` is a bar."""
        return [code.replace("\\|", "|") for code in _CODE.findall(self.prose)]

    def links(self) -> list[str]:
        """The targets of all links."""
        return _LINK.findall(self.prose)

    def anchors(self) -> set[str]:
        """The anchors of its headings."""
        return {_slug(heading) for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)}

    def section(self, heading: str) -> str:
        """Return the text below a heading, up to the next one of the same or a higher level."""
        found = re.search(rf"^(#+) {re.escape(heading)}$", self.text, re.MULTILINE)
        assert found is not None, f"{self.name} has no heading {heading!r}"
        rest = self.text[found.end() :]
        return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of every table row below a heading, without the tables' headers."""
        found: list[list[str]] = []
        for line in self.section(heading).splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if cells and set("".join(cells)) <= set("- "):
                found.pop()
            elif cells:
                found.append(cells)
        return found

    def commands(self) -> list[list[str]]:
        """The words after each ``swimctl`` that a reader is shown to type."""
        lines = [code for code in self.inline_code() if code.startswith("swimctl ")]
        for block in (*self.blocks("bash"), *self.blocks("sh")):
            lines += [part for line in block.splitlines() for part in re.split(r"&&|\|\|?|;", _COMMENT.sub("", line))]
        return [words for line in lines if (words := _words_after_swimctl(line)) is not None]


@cache
def documents() -> tuple[Document, ...]:
    """Return every page of the project."""
    return tuple(document(path.relative_to(ROOT).as_posix()) for path in sorted(_pages(ROOT)))


def _pages(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".md":
            yield path
        elif path.is_dir() and not path.is_symlink() and _is_ours(path):
            yield from _pages(path)


def _is_ours(folder: Path) -> bool:
    """Return True if a folder's pages belong to the project, not to an environment, a cache or a build."""
    is_foreign = folder.name in {"node_modules", "build", "dist"} or (folder / "pyvenv.cfg").exists()
    return folder.name == ".github" or not (is_foreign or folder.name.startswith("."))


def document(name: str) -> Document:
    """Return one page by its path relative to the root."""
    return Document(ROOT / name, (ROOT / name).read_text("utf-8"))


def code_in(cell: str) -> list[str]:
    """Return the texts between backticks in a table cell."""
    return _CODE.findall(cell)


def _words_after_swimctl(line: str) -> list[str] | None:
    found = re.search(r"(?:^|[\s/])swimctl\s+(.*)", line)
    if found is None:
        return None
    try:
        return shlex.split(found[1])
    except ValueError:  # a quote that begins before the cut
        return found[1].split()


def _slug(heading: str) -> str:
    """Return a heading's anchor, as GitHub builds it."""
    text = re.sub(r"[^\w\- ]", "", heading.lower())
    return text.replace(" ", "-")
