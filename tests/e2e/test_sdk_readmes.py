"""The programs of the SDKs' pages work when pasted, against a scripted server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def running(words: list[str], folder: Path, url: str) -> Iterator[list[str]]:
    """Run a program until the block ends; its lines are in the list as they come."""
    environ = {**os.environ, "SWIM_URL": url, "SWIM_API_KEY": KEY}
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


@pytest.mark.long
def test_program_of_the_javascript_page(tmp_path: Path) -> None:
    require_program("node", "nodejs")
    require_program("npm", "npm")
    words = list(catalogue.SDKS["javascript"]())[:-1]
    modules = tmp_path / "node_modules"
    modules.mkdir()
    try:
        (modules / "swim-client").symlink_to(builds.javascript())
    except builds.Unavailable as problem:
        missing(str(problem))
    (tmp_path / "program.mjs").write_text(document("sdk/javascript/README.md").blocks("js")[0], "utf-8")
    check([*words, "program.mjs"], tmp_path)


@pytest.mark.long
def test_program_of_the_java_page(tmp_path: Path) -> None:
    javac = require_program("javac", "default-jdk-headless")
    require_program("mvn", "maven")
    try:
        path = builds.java()
    except builds.Unavailable as problem:
        missing(str(problem))
    (tmp_path / "Departures.java").write_text(document("sdk/java/README.md").blocks("java")[0], "utf-8")
    subprocess.run([javac, "-cp", path, "-d", ".", "Departures.java"], cwd=tmp_path, check=True, timeout=120)
    check(["java", "-cp", f"{path}:.", "Departures"], tmp_path)


@pytest.mark.long
def test_program_of_the_csharp_page(tmp_path: Path) -> None:
    require_program("mcs", "mono-mcs")
    program = tmp_path / "Departures.cs"
    program.write_text(document("sdk/csharp/README.md").blocks("csharp")[0], "utf-8")
    try:
        assembly, dotnet, libraries = builds.csharp(sys.executable, program)
    except builds.Unavailable as problem:
        missing(str(problem))
    check(["env", f"LD_LIBRARY_PATH={libraries}", str(dotnet), str(assembly)], tmp_path)


@pytest.mark.parametrize("number", [0, 1, 2], ids=["with handlers", "in async code", "in plain code"])
def test_programs_of_the_python_page(tmp_path: Path, number: int) -> None:
    """The second block is the body of a program: what it needs around it is what every async program has."""
    text = document("sdk/python/README.md").blocks("python")[number].replace('"your-key"', "")
    if number == 1:
        lines = "\n".join(f"    {line}" for line in text.splitlines())
        head = "import asyncio\nfrom swim_client import SWIMClient\n\n\n"
        text = f"{head}async def main():\n{lines}\n\n\nasyncio.run(main())\n"
    (tmp_path / "program.py").write_text(text, "utf-8")
    check([sys.executable, "-u", "program.py"], tmp_path)
