"""The commit of the checkout that this code runs from, read from ``.git`` itself: no git program is needed."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def commit_of_checkout(start: Path | None = None) -> str | None:
    """Find the commit that is checked out around a folder (this package's); None where there is none."""
    folder = (start or Path(__file__)).resolve()
    try:
        git = next((parent / ".git" for parent in folder.parents if (parent / ".git").exists()), None)
        return None if git is None or not _is_ours(git, start) else _read_head(_git_folder(git))
    except OSError:
        return None


def _is_ours(git: Path, start: Path | None) -> bool:
    """Installed into an environment that lies inside somebody's checkout, this code is not of that checkout."""
    return start is not None or (git.parent / "swimctl" / "__init__.py").exists()


def _git_folder(git: Path) -> Path:
    """``.git`` is a file in a work tree: it names the folder."""
    if git.is_dir():
        return git
    return (git.parent / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()


def _read_head(folder: Path) -> str | None:
    head = (folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    common = folder / "commondir"
    root = (folder / common.read_text("utf-8").strip()).resolve() if common.exists() else folder
    for place in (folder / name, root / name):
        if place.exists():
            found = place.read_text("utf-8").strip()
            return found if _COMMIT.fullmatch(found) else None
    packed = root / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}") and not line.startswith("#")), None)
