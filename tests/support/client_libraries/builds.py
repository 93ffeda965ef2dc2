"""Installs what the client programs need, once: pip, npm, Go, Maven, cargo, Debian packages, compilers.

Everything is in a folder of this user's below the system's temporary one, named after its pins and sources: another
version gets another folder. What can't be installed is skipped with a reason, and fails if CI is true.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from support.client_libraries.pins import PROGRAMS, maven_coordinates
from support.packages import apt_install, missing, require_program

BUILD_SECONDS = 900


@cache
def python_environment() -> Path:
    """Return the interpreter of a virtual environment with the libraries from PyPI."""
    requirements = PROGRAMS / "python/requirements.txt"

    def build(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--requirement", str(requirements)])

    return _built("python", [requirements], build) / "bin/python"


@cache
def node_modules() -> Path:
    """Return the folder with the libraries from npm."""
    return _npm_installed("node", PROGRAMS / "node/package.json")


@cache
def node_runtime(name: str) -> Path:
    """Return another version of Node.js than the installed one."""
    return _npm_installed("node-runtimes", PROGRAMS / "node/runtimes/package.json") / name / "bin/node"


def _npm_installed(name: str, pins: Path) -> Path:
    require_program("node", "nodejs")
    npm = require_program("npm", "npm")

    def build(folder: Path) -> None:
        shutil.copy(pins, folder)
        _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=folder)

    return _built(name, [pins], build) / "node_modules"


@cache
def go_programs() -> Path:
    """Return the folder with the Go programs."""
    go = require_program("go", "golang-go")
    source = PROGRAMS / "go"

    def build(folder: Path) -> None:
        _run([go, "build", "-o", f"{folder}/", "./..."], cwd=source)

    return _built("go", [*sorted(source.rglob("*.go")), source / "go.mod", source / "go.sum"], build)


@cache
def java_classpath(program: str, *, is_jdk: bool = False) -> str:
    """Return the class path of a Java program: its library with dependencies, and its own classes."""
    javac = require_program("javac", "default-jdk-headless")
    source = PROGRAMS / "java"
    sources = [source / "Tell.java", *sorted((source / program).glob("*.java"))]

    def build(folder: Path) -> None:
        if not is_jdk:
            group, artifact, version = maven_coordinates(program)
            named = [f"-Dgroup={group}", f"-Dartifact={artifact}", f"-Dversion={version}"]
            words = [*named, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
            maven = require_program("mvn", "maven")
            _run([maven, "-q", "-B", "-f", str(source / "pom.xml"), *words, "dependency:copy-dependencies"])
        _run([javac, "-nowarn", "-cp", f"{folder}/*", "-d", str(folder / "classes"), *map(str, sources)])

    folder = _built(f"java-{program}", [*sources, source / "libraries.txt", source / "pom.xml"], build)
    return f"{folder}/*:{folder}/classes"


@cache
def rust_program(name: str) -> Path:
    """Build a Rust program; return its path."""
    cargo = require_program("cargo", "cargo")
    source = PROGRAMS / "rust"

    def build(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        _run([cargo, "build", "--quiet", "--release"], cwd=folder)

    return _built("rust", [*sorted(source.glob("*.rs")), source / "Cargo.toml"], build) / "target/release" / name


@cache
def c_program(name: str, package: str, *, pkg_config: str) -> Path:
    """Build a C program against a Debian package; return its path."""
    require_debian(package)
    compiler = require_program("gcc", "gcc")
    require_program("pkg-config", "pkg-config")
    source = PROGRAMS / "c" / f"{name}.c"

    def build(folder: Path) -> None:
        flags = _run(["pkg-config", "--cflags", "--libs", pkg_config]).split()
        _run([compiler, "-O1", "-o", str(folder / name), str(source), *flags])

    return _built(f"c-{name}", [source, source.parent / "tell.h"], build) / name


@cache
def cpp_program(name: str, *packages: str, libraries: Sequence[str] = ()) -> Path:
    """Build a C++ program against Debian packages; return its path."""
    require_debian(*packages)
    compiler = require_program("g++", "g++")
    source = PROGRAMS / "cpp" / f"{name}.cpp"

    def build(folder: Path) -> None:
        linked = [f"-l{library}" for library in libraries]
        _run([compiler, "-std=c++17", "-o", str(folder / name), str(source), *linked])

    return _built(f"cpp-{name}", [source, PROGRAMS / "c/tell.h"], build) / name


@cache
def require_debian(*packages: str) -> None:
    """Make sure that Debian packages are installed."""
    absent = [package for package in packages if not _is_installed(package)]
    if absent:
        apt_install(*absent)
        still = [package for package in absent if not _is_installed(package)]
        if still:
            missing(f"not installed: apt-get install {' '.join(still)}")


def _is_installed(package: str) -> bool:
    query = shutil.which("dpkg-query")
    if query is None:
        return False
    done = subprocess.run([query, "-W", "-f", "${Status}", package], capture_output=True, timeout=30, check=False)
    return done.stdout.endswith(b" installed")


def _built(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Return the folder built from these sources; a second caller finds it complete, or builds it."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    home = Path(tempfile.gettempdir()) / f"swim-tests-clients-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    folder = home / f"{name}-{digest}"
    done = folder / ".built"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        build(folder)
        done.touch()
    return folder


def _run(words: Sequence[str], *, cwd: Path | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        missing(f"{' '.join(words[:4])} failed: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout
