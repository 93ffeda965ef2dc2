"""The programs of the SDKs' pages work when pasted: against ``swimctl demo``, and over a break that is scripted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from support.documents import document
from support.packages import missing, require_program
from swim_conformance import builds, catalogue
from swim_conformance.server_thread import ServerThread

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
BREAK = {
    "connections": [
        [
            {"await": "subscribe"},
            {"publish": 1, "data": {"callsign": "BAW1", "dep": "KJFK"}},
            {"cut": True},
        ],
        [{"await": "subscribe"}, {"publish": 1, "data": {"callsign": "AFR2", "dep": "KLGA"}}],
    ]
}
"""The program is to go on after a break."""
AIRPORT = re.compile("KJFK|KLGA|^flight")
"""What a program tells of its filter's airports; the loops tell the type of each event first."""
DEMO_SECONDS = 240
"""Some hundred flights, and few of them depart from these two airports."""


@contextmanager
def running(words: list[str], folder: Path, url: str, key: str = KEY) -> Iterator[list[str]]:
    """Run a program until the block ends; its lines are in the list as they come."""
    environ = {**os.environ, "SWIM_URL": url, "SWIM_API_KEY": key}
    lines: list[str] = []
    with subprocess.Popen(
        words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=read_into, args=(process.stdout, lines), daemon=True)
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            process.wait(20)
            reader.join(20)


def read_into(stream: Iterator[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)


def check(words: list[str], folder: Path) -> None:
    """The program tells both departures."""
    with ServerThread(BREAK) as server, running(words, folder, server.url) as lines:
        try:
            server.wait_until(lambda: all(any(sign in line for line in lines) for sign in ("BAW1", "AFR2")), 90)
        except TimeoutError:
            pytest.fail(f"the program said only: {''.join(lines)[-2000:]}")
        assert server.received(2, "subscribe")[0]["after"] == server.server.history.ids[1]
        assert KEY not in "".join(lines)


def javascript(folder: Path) -> list[str]:
    require_program("node", "nodejs")
    require_program("npm", "npm")
    words = list(catalogue.SDKS["javascript"]())[:-1]
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "swim-client").symlink_to(builds.javascript())
    (folder / "program.mjs").write_text(document("sdk/javascript/README.md").blocks("js")[0], "utf-8")
    return [*words, "program.mjs"]


def java(folder: Path) -> list[str]:
    javac = require_program("javac", "default-jdk-headless")
    require_program("mvn", "maven")
    path = builds.java()
    (folder / "Departures.java").write_text(document("sdk/java/README.md").blocks("java")[0], "utf-8")
    subprocess.run([javac, "-cp", path, "-d", ".", "Departures.java"], cwd=folder, check=True, timeout=120)
    return ["java", "-cp", f"{path}:.", "Departures"]


def csharp(folder: Path) -> list[str]:
    require_program("mcs", "mono-mcs")
    program = folder / "Departures.cs"
    program.write_text(document("sdk/csharp/README.md").blocks("csharp")[0], "utf-8")
    assembly, dotnet, libraries = builds.csharp(sys.executable, program)
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(dotnet), str(assembly)]


def python(folder: Path, number: int) -> list[str]:
    """Write one of the programs; the second is the body of one: what it needs around it is what all of them have."""
    text = document("sdk/python/README.md").blocks("python")[number].replace('"your-key"', "")
    if number == 1:
        lines = "\n".join(f"    {line}" for line in text.splitlines())
        head = "import asyncio\nfrom swim_client import SWIMClient\n\n\n"
        text = f"{head}async def main():\n{lines}\n\n\nasyncio.run(main())\n"
    (folder / "program.py").write_text(text, "utf-8")
    return [sys.executable, "-u", "program.py"]


OTHERS: dict[str, Callable[[Path], list[str]]] = {"javascript": javascript, "java": java, "csharp": csharp}
PYTHON: dict[str, Callable[[Path], list[str]]] = {
    "python, with handlers": partial(python, number=0), "python, async": partial(python, number=1),
    "python, plain": partial(python, number=2),
}  # fmt: skip
PROGRAMS = OTHERS | PYTHON


def written(name: str, folder: Path) -> list[str]:
    """Write a page's program; the words that start it."""
    try:
        return PROGRAMS[name](folder)
    except builds.Unavailable as problem:
        missing(str(problem))


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_program_of_the_page_goes_on_after_a_break(tmp_path: Path, name: str) -> None:
    check(written(name, tmp_path), tmp_path)


@pytest.mark.parametrize("name", PYTHON)
def test_program_of_the_python_page_goes_on_after_a_break(tmp_path: Path, name: str) -> None:
    check(written(name, tmp_path), tmp_path)


@pytest.fixture(scope="module")
def demo() -> Iterator[dict[str, str]]:
    """``swimctl demo`` as it is typed; what it prints for another terminal."""
    words = [sys.executable, "-m", "swimctl", "demo"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told: dict[str, str] = {}
        try:
            for line in process.stderr:
                if found := re.match(r"\s*export (SWIM_URL|SWIM_API_KEY)=(\S+)", line):
                    told[found[1]] = found[2]
                if len(told) == 2:
                    break
            yield told
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.mark.long
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_of_the_page_tells_departures_of_the_demo(tmp_path: Path, name: str, demo: dict[str, str]) -> None:
    words = written(name, tmp_path)
    with running(words, tmp_path, demo["SWIM_URL"], demo["SWIM_API_KEY"]) as lines:
        deadline = time.monotonic() + DEMO_SECONDS
        while not any(AIRPORT.search(line) for line in lines):
            assert time.monotonic() < deadline, f"the program said only: {''.join(lines)[-2000:]}"
            assert "Traceback" not in "".join(lines), "".join(lines)
            time.sleep(0.1)
    assert demo["SWIM_API_KEY"] not in "".join(lines)
