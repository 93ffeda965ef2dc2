"""The flood benchmark runs and prints what it is asked for. No time is asserted here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.floods import FLOODS

pytestmark = pytest.mark.unmeasured

ROOT = Path(__file__).parents[2]
SOME = ("bombs", "bad-keys")


def flood(kinds: tuple[str, ...], clients: int) -> list[dict[str, Any]]:
    """A short run: one document for each kind and server."""
    words = ["--seconds", "0.3", "--kinds", ",".join(kinds), "--clients", str(clients), "--json"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "load" / "flood.py"), *words],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(found: list[dict[str, Any]], kinds: tuple[str, ...]) -> None:
    assert [(one["kind"], one["server"]) for one in found] == [
        (kind, server) for kind in kinds for server in ("swim", "plain library")
    ]
    for one in found:
        assert one["connections"] >= 1, one
        assert bool(FLOODS[one["kind"]].chunk) == (one["sent_bytes"] > 0), one
        for when in ("before", "during"):
            assert 0 < one[when]["p50"] <= one[when]["p99"] <= one[when]["max"], one
        assert one["rss_most"] >= one["rss_before"] > 1, one


def test_floods_are_measured_on_both_servers() -> None:
    check(flood(SOME, 1), SOME)


@pytest.mark.long
def test_every_kind_of_flood_is_measured_from_several_clients() -> None:
    check(flood(tuple(FLOODS), 5), tuple(FLOODS))
