"""The copy of the code that this command runs from: checkout, git status, sources that don't compile. Facts."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

GIT_SECONDS = 1.8
MOST_BROKEN = 20


class GitSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What git reports about a checkout."""

    lines: tuple[str, ...] = ()
    """Source files that differ from the commit, as ``git status --porcelain`` prints them."""
    trouble: str | None = None
    """Why git reports nothing."""
    is_absent: bool = False
    """Git is not installed."""


class BrokenSource(msgspec.Struct, frozen=True):
    """A source file that Python can't compile."""

    name: str
    path: Path
    line: int | None
    problem: str


async def checkout_root(context: DoctorContext) -> Path | None:
    """Return the folder of the checkout that this command runs from; None if it is installed."""
    from swim_server.daemon.requirements import checkout_root

    work = checkout_root
    return await context.fact("code.checkout", lambda: asyncio.to_thread(work), "pyproject.toml", shape=Path | None)


async def git_changes(context: DoctorContext, folder: Path, packages: Sequence[str]) -> GitSeen:
    """Return the source files of these folders that differ from the commit, according to git."""
    return await context.fact(
        "code.git", lambda: asyncio.to_thread(_ask_git, folder, packages), f"git -C {folder} status", shape=GitSeen
    )


def _ask_git(folder: Path, packages: Sequence[str]) -> GitSeen:
    words = ["git", "-c", "safe.directory=*", "--no-optional-locks", "-C", str(folder), "status", "--porcelain"]
    try:
        done = subprocess.run(
            [*words, "--untracked-files=all", "--", *packages], capture_output=True, check=False, timeout=GIT_SECONDS
        )
    except FileNotFoundError:
        return GitSeen(is_absent=True)
    except subprocess.TimeoutExpired:
        return GitSeen(trouble=f"git did not answer within {GIT_SECONDS:g} s")
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        return GitSeen(trouble=f"git could not tell: {reason}")
    lines = done.stdout.decode(errors="replace").splitlines()
    return GitSeen(lines=tuple(line for line in lines if line.endswith(".py")))


async def broken_sources(
    context: DoctorContext, roots: Mapping[str, str], names: Collection[str] | None = None
) -> list[BrokenSource]:
    """Return the source files below these packages' folders that don't compile; limited to ``names``, if any."""
    return await context.fact(
        "code.broken",
        lambda: asyncio.to_thread(find_broken, roots, names),
        "source files, compiled",
        about=", ".join(sorted(roots.values())),
        shape=list[BrokenSource],
    )


def find_broken(roots: Mapping[str, str], names: Collection[str] | None = None) -> list[BrokenSource]:
    """Compile the files without up-to-date bytecode; those with it have compiled before. Blocks."""
    found = []
    for name, path in sources(roots):
        if (names is None or name in names) and not is_compiled(path):
            broken = _compile(name, path)
            found += [] if broken is None else [broken]
            if len(found) >= MOST_BROKEN:
                break
    return found


def sources(roots: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield the source files below these packages' folders, with their names."""
    for package, folder in sorted(roots.items()):
        for path in sorted(Path(folder).rglob("*.py")):
            yield f"{package}/{path.relative_to(folder).as_posix()}", path


def is_compiled(path: Path) -> bool:
    """Return True if bytecode exists for exactly this source, by its time and size (PEP 3147, 552)."""
    try:
        with Path(cache_from_source(str(path))).open("rb") as file:
            header = file.read(16)
        source = path.stat()
    except OSError:
        return False
    wanted = (0, int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
    fields = (int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12))
    return header[:4] == MAGIC_NUMBER and tuple(fields) == wanted


def _compile(name: str, path: Path) -> BrokenSource | None:
    try:
        compile(path.read_bytes(), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        return BrokenSource(name, path, error.lineno, error.msg)
    except (OSError, ValueError) as error:
        return BrokenSource(name, path, None, str(error))
    return None
