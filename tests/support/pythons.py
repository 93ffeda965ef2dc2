"""Other Pythons than the one that runs the tests: found on this machine, in a Debian, or fetched by uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.debian_root import ROOT, copy_project, debian_root, plain_environ
from support.packages import INSTALL_SECONDS, missing

SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid"}
"""Which Debian has which Python."""
TEST_SECONDS = 3600
NOT_NEEDED = ("kosoku", "mssql-python-odbc", "mypy", "ruff", "types-")
"""Of what developers install, what these tests do without; not each of them has a wheel for every Python."""


class Interpreter(NamedTuple):
    """A Python, and how to run commands where it is."""

    prefix: tuple[str, ...]
    """Before every command: what enters its folder; empty on this machine itself."""
    executable: str
    project: str
    """The project's folder, as its commands see it."""
    scratch: str

    def run(self, *words: str, seconds: float = INSTALL_SECONDS, cwd: str | None = None) -> str:
        """Run a command to completion; it must succeed. Return its output."""
        environ = plain_environ() if self.prefix else dict(os.environ)
        environ = {name: value for name, value in environ.items() if not name.startswith(("SWIM_", "PYTHON", "COV"))}
        there = ["sh", "-c", 'cd "$0" && exec "$@"', cwd or self.scratch, *words]
        done = subprocess.run(
            [*self.prefix, *there], env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words[:6])}: {done.stdout[-6000:]}"
        return done.stdout

    def environment(self) -> str:
        """Create a virtual environment; return its Python."""
        self.run(self.executable, "-m", "venv", "venv")
        return f"{self.scratch}/venv/bin/python"


@contextmanager
def python_of(version: str) -> Iterator[Interpreter]:
    """Find a Python, or install one; skips if that is impossible."""
    with tempfile.TemporaryDirectory(prefix="swim-python-") as scratch:
        found = _local(version)
        if found is None and version not in SUITES:
            found = _fetched(version, Path(scratch))
        if found is not None:
            yield Interpreter((), found, str(ROOT), scratch)
            return
        with debian_root(SUITES[version]) as root:
            copy_project(root.folder / "project")
            (root.folder / "scratch").mkdir()
            yield Interpreter(root.prefix, f"/usr/bin/python{version}", "/project", "/scratch")


def _local(version: str) -> str | None:
    named = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for each in [sys.executable, *(str(name) for name in named if name)]:
        code = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
        if subprocess.run([each, "-c", code], capture_output=True, check=False).returncode == 0:
            return each
    return None


def _fetched(version: str, folder: Path) -> str:
    """Let uv fetch one: it has builds of every version, if the network permits."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "uv"), "uv"]
    uv = str(folder / "uv" / "bin" / "uv")
    environ = os.environ | {"UV_PYTHON_INSTALL_DIR": str(folder / "pythons")}
    for words in (pip, [uv, "python", "install", "--no-bin", version]):
        done = subprocess.run(words, env=environ, capture_output=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode != 0:
            missing(f"no Python {version}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return str(next((folder / "pythons").glob("*/bin/python3")))


def test_requirements() -> list[str]:
    """Return what the tests need besides the project itself."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["optional-dependencies"]["dev"]
    return [each for each in wanted if not each.startswith(NOT_NEEDED)]


def run_tests(python: Interpreter, paths: Sequence[str], *, constraints: Sequence[str] = ()) -> str:
    """Install the project and its test requirements, and run some tests. Return pytest's output."""
    own = python.environment()
    pip = (own, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    projects = ("--editable", python.project, "--editable", f"{python.project}/sdk/python")
    python.run(*pip, *projects, *test_requirements(), *constraints)
    return python.run(
        own, "-m", "pytest", "-q", "-n", "4", "--reruns", "2", "-p", "no:cacheprovider", *paths,
        seconds=TEST_SECONDS, cwd=python.project,
    )  # fmt: skip
