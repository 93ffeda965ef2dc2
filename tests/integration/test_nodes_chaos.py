"""Short runs of the chaos over nodes (``tests/load/chaos.py --nodes``): the checker finds nothing but zeros."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.nodes_chaos.faults import EXCESS_ALLOWED
from support.nodes_chaos.ledger import Acknowledged, Ledger
from support.nodes_chaos.report import nodes_scoreboard
from support.nodes_chaos.revocations import Revocations
from support.nodes_chaos.run import run_nodes_chaos


async def test_nothing_is_lost_repeated_or_untold_when_the_server_is_emptied_and_replaced(
    tmp_path: Path,
) -> None:
    only = ["flush the server", "fail over to a lagging replica"]
    report = await run_nodes_chaos(tmp_path, nodes=2, rounds=2, seed=3, subscribers=2, only=only)
    assert not broken(report), nodes_scoreboard(report)
    assert report["gaps_told"] >= 2
    assert report["rounds"] == 2


@pytest.mark.long
async def test_nothing_is_lost_repeated_or_untold_in_any_fault_of_nodes_and_server(tmp_path: Path) -> None:
    report = await run_nodes_chaos(tmp_path, nodes=3, rounds=10, seed=4, subscribers=3, only=[])
    assert not broken(report), nodes_scoreboard(report)
    assert (report["revoked_late"], report["closed_late_after_return"]) == ([], []), nodes_scoreboard(report)
    assert report["rounds"] == len(report["faults"]) == 10
    assert set(EXCESS_ALLOWED) <= set(report["faults"])


@pytest.mark.long
async def test_nothing_is_lost_repeated_or_untold_where_nodes_have_workers(tmp_path: Path) -> None:
    report = await run_nodes_chaos(tmp_path, nodes=2, workers=2, rounds=11, seed=5, subscribers=3, only=[])
    assert not broken(report), nodes_scoreboard(report)
    assert report["rounds"] == len(report["faults"]) == 11


def broken(report: dict[str, object]) -> dict[str, object]:
    """Return the promises that were broken, except for measured times."""
    zeros = (
        "lost", "repeated", "out_of_order", "gap_untold", "gap_without_loss", "other_id", "limits_exceeded",
        "silent_node_not_named", "failures",
    )  # fmt: skip
    return {name: report[name] for name in zeros if report[name]}


@pytest.mark.parametrize(
    ("closed", "seen", "kept", "silent", "found"),
    [
        ([0.1, 0.9], 0.95, 0.0, [], (0, 0, 0)),
        ([0.1, 0.9], 1.5, 0.0, [], (1, 0, 0)),
        ([0.1, 1.2], 1.2, 0.1, [], (0, 1, 0)),
        ([0.1, 1.2], 1.2, 0.3, [], (0, 0, 1)),
        ([0.1, 0.2], 0.2, 0.1, ["node1"], (0, 1, 0)),
    ],
)
def test_the_checker_tells_a_late_node_from_a_busy_machine_and_a_late_program(
    closed: list[float], seen: float, kept: float, silent: list[str], found: tuple[int, int, int]
) -> None:
    ledger = Ledger()
    judged = Revocations(SimpleNamespace(server=None), ledger, random.Random(1))  # type: ignore[arg-type]  # not asked
    judged.judge(closed, answered=0.1, seen=seen, kept=kept, silent=silent)
    assert (ledger.seen_late, len(ledger.revoked_late), len(ledger.revoked_late_by_machine)) == found
    assert ("LATE" in judged.last) == (sum(found[1:]) > 0)


class Received:
    """A subscriber as the checker sees it."""

    def __init__(self, *events: tuple[str, str], gaps: tuple[float, ...] = (201.0,)) -> None:
        self.events = [Event(name, event_id) for name, event_id in events]
        self.gap_times = list(gaps)


class Event(dict[str, str]):
    """An event by name and id."""

    def __init__(self, name: str, event_id: str) -> None:
        super().__init__(n=name)
        self.id = event_id


@pytest.mark.parametrize(
    ("received", "found"),
    [
        (Received(("a", "1-0"), ("b", "2-0"), ("c", "3-0")), {}),
        (Received(("a", "1-0"), ("c", "3-0")), {"lost": 1}),
        (Received(("a", "1-0"), ("b", "2-0"), ("b", "2-0"), ("c", "3-0")), {"repeated": 1, "out_of_order": 1}),
        (Received(("a", "1-0"), ("c", "3-0"), ("b", "2-0")), {"out_of_order": 1}),
        (Received(("a", "1-0"), ("b", "2-5"), ("c", "3-0")), {"other_id": 1}),
        (Received(("a", "1-0"), ("b", "2-0"), ("c", "3-0"), ("d", "4-0"), gaps=(120.0,)), {"gap_without_loss": 1}),
        (Received(("a", "1-0"), ("b", "2-0"), ("c", "3-0"), ("e", "5-0"), gaps=()), {"gap_untold": 1}),
        (Received(("a", "1-0"), ("b", "2-0"), ("c", "3-0"), ("e", "5-0")), {}),
    ],
)
def test_the_checker_finds_what_is_broken(received: Received, found: dict[str, int]) -> None:
    ledger = Ledger()
    for name, event_id, at in (("a", "1-0", 100.0), ("b", "2-0", 101.0), ("c", "3-0", 102.0), ("d", "4-0", 200.0)):
        ledger.acknowledged[name] = Acknowledged(event_id, at)
    ledger.losses.append((198.0, 203.0))
    ledger.lossless.append((110.0, 150.0))
    judged = ledger.judge([received])  # type: ignore[list-item]  # all that the checker reads
    assert {name: count for name, count in judged.items() if count} == found
