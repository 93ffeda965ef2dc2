"""Third-party client libraries against a real daemon: each behaves as PROTOCOL.md says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.client_libraries.catalogue import ClientLibrary, libraries
from support.client_libraries.table import PROTOCOL, documented, rows
from support.client_libraries.trials import Trials

pytestmark = pytest.mark.unmeasured


def available(wanted: Iterable[ClientLibrary]) -> list[ClientLibrary]:
    """Install them; the test is skipped, or fails in CI, where one can't be had."""
    found = list(wanted)
    for library in found:
        library.prepare()
        library.version()
    return found


def differences(trials: Trials, columns: Iterable[str] | None = None) -> list[str]:
    """Name the cells that say something else in PROTOCOL.md; only of libraries in the version that was measured."""
    written = documented()
    found = []
    for cells in rows(trials.findings):
        said = written.get(cells["library"])
        if said is None:
            found.append(f"{cells['library']} is not in the table")
        elif said["version"] == cells["version"]:
            wrong = [name for name in columns or cells if cells[name] != said[name] and not is_race(name, cells[name])]
            found += [f"{cells['library']}, {name}: {cells[name]}, not {said[name]}" for name in wrong]
    return found


def is_race(column: str, cell: str) -> bool:
    """Tell whether a library may show this by chance: it sends while it is being refused, and finds the line closed."""
    return column in {"1013", "4002"} and cell in {"an error", "1006"}


def test_common_client_libraries_are_served_and_show_what_the_protocol_says(tmp_path: Path) -> None:
    trials = Trials(tmp_path, available(library for library in libraries() if library.is_quick))

    async def run() -> None:
        await trials.session()
        await trials.restart()
        await trials.revoked()

    asyncio.run(run())
    assert [library.slug for library, found in trials.findings.items() if not found.has_received_all] == []
    assert differences(trials, ["compressed", "1000", "1012", "4001"]) == [], f"measured anew: {PROTOCOL.name}"


@pytest.mark.long
def test_every_client_library_shows_what_the_protocol_says(tmp_path: Path) -> None:
    trials = Trials(tmp_path, available(libraries()))

    async def run() -> None:
        for trial in trials.all:
            await trial()

    asyncio.run(run())
    assert len(trials.findings) >= 40
    limited = {library.name for library, found in trials.findings.items() if found.limit_bytes is not None}
    silent = [
        library.slug
        for library, found in trials.findings.items()
        if not found.has_received_all and found.is_compressed is not None and library.name not in limited
    ]
    assert silent == []
    assert differences(trials) == [], "python tests/e2e/clients/run.py --write measures and writes the table anew"
