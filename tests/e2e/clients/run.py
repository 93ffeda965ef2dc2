"""Runs foreign client libraries against a real daemon and prints the Markdown table of what each of them shows.

    python tests/e2e/clients/run.py             all that can be installed here
    python tests/e2e/clients/run.py ws aiohttp  those whose name has one of these words
    python tests/e2e/clients/run.py --raw       also what each said, as JSON lines on standard error

Takes about three minutes, and some more the first time, for installing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]

import pytest
from support.client_libraries.catalogue import ClientLibrary, libraries
from support.client_libraries.table import markdown
from support.client_libraries.trials import Trials


def available(words: list[str]) -> list[ClientLibrary]:
    """Those asked for that can be had here; the others are named on standard error."""
    found = []
    for library in libraries():
        if words and not any(word in library.name for word in words):
            continue
        try:
            library.prepare()
            library.version()
        except (pytest.skip.Exception, pytest.fail.Exception) as why:
            print(f"{library.name}: left out: {why}", file=sys.stderr)
        else:
            found.append(library)
    return found


async def run(words: list[str], *, is_raw: bool) -> None:
    """Run every trial and print the table."""
    with tempfile.TemporaryDirectory(prefix="swim-clients-") as folder:
        trials = Trials(Path(folder), available(words))
        for trial in trials.all:
            began = time.monotonic()
            await trial()
            print(f"{trial.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    if is_raw:
        for library, found in trials.findings.items():
            endings = {trial: vars(ending) for trial, ending in found.endings.items()}
            print(json.dumps({"library": library.slug, **vars(found), "endings": endings}), file=sys.stderr)
    print(markdown(trials.findings), end="")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    asyncio.run(run(words, is_raw="--raw" in sys.argv))
