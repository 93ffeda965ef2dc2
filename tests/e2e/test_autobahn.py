"""Autobahn's cases against the shipped endpoint, beside the plain library's server: nothing fails that passes there.

Sections: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 limits, 10 automatic
fragmentation, 12 and 13 compression.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.packages import missing

ROOT = Path(__file__).parents[2]
SELECTION = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", *(f"12.{part}.1" for part in range(1, 6)),
             *(f"13.{part}.1" for part in range(1, 8)))  # fmt: skip
"""What runs within seconds; of compression, the smallest messages."""
LIMITS = ("9.*",)
COMPRESSION = ("12.*", "13.*")
AT_ONCE = 8
FAILS_IN_THE_LIBRARY_TOO = ("7.1.5",)
"""A close in the middle of a fragmented message: Autobahn wants the unfinished message dropped with 1000."""

# The cases of compression leave their data files open.
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"), pytest.mark.unmeasured]


@contextmanager
def echo_server(kind: str) -> Iterator[int]:
    """An echo in a process of its own; its port."""
    paths = (ROOT / "tests", ROOT, ROOT / "server", ROOT / "sdk" / "python")
    process = subprocess.Popen(
        [sys.executable, "-m", "support.echo_server", kind],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def failed_cases(kind: str, cases: Sequence[str], *, at_once: int = AT_ONCE) -> set[str]:
    """Run the cases; the ids of those that did not pass."""
    try:
        from kosoku import FailureError, run_fuzzingclient
    except ImportError:
        missing("kosoku is not installed: pip install kosoku==0.1.0")
    with echo_server(kind) as port:
        try:
            results = await run_fuzzingclient(f"ws://127.0.0.1:{port}/", list(cases), concurrency=at_once)
        except FailureError as failure:
            results = failure.results
    assert len(results) >= len(cases), "cases were run"
    return {each.case_id for each in results if not each.passed}


async def failed_even_alone(cases: Sequence[str]) -> set[str]:
    """Run long cases; those that fail once more alone. The suite times them, and a busy machine is too slow for two."""
    failed = await failed_cases("endpoint", cases, at_once=2)
    return await failed_cases("endpoint", sorted(failed), at_once=1) if failed else set()


async def test_nothing_fails_that_the_plain_library_passes() -> None:
    ours, library = await asyncio.gather(*(failed_cases(kind, SELECTION) for kind in ("endpoint", "library")))
    assert library == set(FAILS_IN_THE_LIBRARY_TOO)
    assert ours - library == set()


@pytest.mark.long
async def test_every_case_on_limits_passes() -> None:
    """Messages and fragments of up to 16 MiB, a thousand messages of each size."""
    assert await failed_even_alone(LIMITS) == set()


@pytest.mark.long
@pytest.mark.parametrize("cases", COMPRESSION)
async def test_every_case_on_compression_passes(cases: str) -> None:
    """A thousand messages of each size, for each set of parameters that a client may offer."""
    assert await failed_even_alone([cases]) == set()
