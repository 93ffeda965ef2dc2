"""The real neighbours that tests need: Debian packages, npm packages. Installed here if possible.

What can't be installed is a skipped test with a reason on a developer's machine, and a failure in CI.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL_SECONDS = 600


def missing(what: str) -> NoReturn:
    """Skip, or fail where everything must be available."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; in CI nothing may be missing")
    pytest.skip(what)


@cache
def require_program(program: str, package: str) -> str:
    """Return the path of a program, first installing its Debian package if missing and permitted."""
    found = shutil.which(program)
    if found is None:
        apt_install(package)
        found = shutil.which(program)
    return found or missing(f"{program} is not installed: apt-get install {package}")


def apt_install(*packages: str) -> None:
    """Install Debian packages where that may be done; else nothing happens, and who needs them finds them missing."""
    problem = _installing(packages)
    if problem is not None:
        missing(problem)


@cache
def _installing(packages: tuple[str, ...]) -> str | None:
    """Install packages, once in a process; return why they can't be had, if they can't."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update", "-q"), ("install", "-y", "-q", "--no-install-recommends", *packages)):
        done = subprocess.run(
            ["apt-get", *words], env=environ, capture_output=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode != 0:
            problem = done.stderr.decode(errors="replace")[-200:]
            return f"apt-get {words[0]} for {', '.join(packages)} failed: {problem}"
    return None


@cache
def require_python_package(name: str, version: str) -> Path:
    """Return the folder into which a wheel is installed, without what it needs; kept between runs."""
    folder = Path(tempfile.gettempdir()) / f"swim-tests-pip-{os.getuid()}" / f"{name}-{version}"
    if not folder.is_dir():
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            words = ["install", "-q", "--no-deps", "--only-binary", ":all:", "--target", f"{unfinished}/new"]
            done = subprocess.run(
                [sys.executable, "-m", "pip", *words, f"{name}=={version}"],
                capture_output=True, timeout=INSTALL_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                missing(f"pip install {name} failed: {done.stderr.decode(errors='replace')[-200:]}")
            with contextlib.suppress(OSError):  # another worker process was faster
                Path(f"{unfinished}/new").rename(folder)
    return folder


@cache
def require_npm_package(name: str, version: str) -> Path:
    """Return the folder of ``node_modules`` that contains a package, kept between runs."""
    require_program("node", "nodejs")
    npm = require_program("npm", "npm")
    folder = Path(tempfile.gettempdir()) / f"swim-tests-npm-{os.getuid()}" / f"{name}-{version}"
    if not (folder / "node_modules" / name / "package.json").exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{name}@{version}"],
            cwd=folder,
            capture_output=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            missing(f"npm install {name} failed: {done.stderr.decode(errors='replace')[-200:]}")
    return folder / "node_modules"
