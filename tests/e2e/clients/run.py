"""Runs foreign client libraries against a real daemon and prints the Markdown table of what each of them shows.

    python tests/e2e/clients/run.py             all that can be installed here
    python tests/e2e/clients/run.py ws aiohttp  those whose name has one of these words
    python tests/e2e/clients/run.py --raw       also what each said, as JSON lines on standard error
    python tests/e2e/clients/run.py --only restart --only cut      some of the trials
    python tests/e2e/clients/run.py --write     puts the table into server/PROTOCOL.md

Takes some five minutes, and more the first time, for installing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]

import pytest  # noqa: E402
from support.client_libraries.catalogue import ClientLibrary, libraries  # noqa: E402
from support.client_libraries.table import markdown, write  # noqa: E402
from support.client_libraries.trials import Trials  # noqa: E402


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


async def run(options: argparse.Namespace) -> None:
    """Run the trials and print the table."""
    with tempfile.TemporaryDirectory(prefix="swim-clients-") as folder:
        trials = Trials(Path(folder), available(options.names))
        for trial in trials.all:
            if options.only and trial.__name__ not in options.only:
                continue
            began = time.monotonic()
            await trial()
            print(f"{trial.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    if options.raw:
        for library, found in trials.findings.items():
            print(json.dumps({"library": library.slug, **asdict(found)}, default=repr), file=sys.stderr)
    print(markdown(trials.findings), end="")
    if options.write:
        write(trials.findings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="words of which one stands in the name of each library to be tried")
    parser.add_argument("--only", action="append", help="a trial; session first, to know who can connect at all")
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--write", action="store_true")
    asyncio.run(run(parser.parse_args()))
