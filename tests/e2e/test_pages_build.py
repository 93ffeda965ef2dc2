"""The pages that are committed are what their sources give; their types are right."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.packages import INSTALL_SECONDS, missing, require_program

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "server" / "pages"
BUILT = ROOT / "server" / "swim_server" / "pages" / "built"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources beside the packages that they are built with, which are kept from one run to the next."""
    require_program("node", "nodejs")
    npm = require_program("npm", "npm")
    content = (SOURCES / "package.json").read_bytes()
    name = f"pages-{hashlib.sha256(content).hexdigest()[:12]}"
    packages = Path(tempfile.gettempdir()) / f"swim-tests-npm-{os.getuid()}" / name
    if not (packages / ".complete").exists():
        packages.mkdir(mode=0o700, parents=True, exist_ok=True)
        (packages / "package.json").write_bytes(content)
        words = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(words, cwd=packages, capture_output=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode != 0:
            missing(f"npm install for the pages failed: {done.stderr.decode(errors='replace')[-200:]}")
        (packages / ".complete").touch()
    root = tmp_path_factory.mktemp("pages")
    shutil.copytree(SOURCES, root / "server" / "pages", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(ROOT / "sdk" / "javascript" / "src", root / "sdk" / "javascript" / "src")
    shutil.copytree(ROOT / "sdk" / "javascript" / "types", root / "sdk" / "javascript" / "types")
    shutil.copy(ROOT / "sdk" / "javascript" / "package.json", root / "sdk" / "javascript")
    (root / "server" / "pages" / "node_modules").symlink_to(packages / "node_modules")
    return root / "server" / "pages"


def run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_that_are_committed_are_what_their_sources_give(sources: Path, tmp_path: Path) -> None:
    run(["node", "build.mjs", str(tmp_path)], sources)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in BUILT.iterdir())
    _, different, unread = filecmp.cmpfiles(tmp_path, BUILT, names, shallow=False)
    assert different + unread == [], "run: cd server/pages && npm install && npm run build"


def test_types_of_the_pages_are_right(sources: Path) -> None:
    run(["node", "node_modules/typescript/bin/tsc", "--noEmit", "-p", "."], sources)
