"""The report of one run, as a document and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from support.nodes_chaos.faults import EXCESS_ALLOWED
from support.nodes_chaos.ledger import Ledger, Subscriber
from support.nodes_chaos.traffic import PUBLIC_LIMIT

ZEROS = (
    "lost", "repeated", "out_of_order", "gap_untold", "gap_without_loss", "other_id", "limits_exceeded",
    "revoked_late", "closed_late_after_return", "silent_node_not_named", "failures",
)  # fmt: skip
"""What must be nothing."""


def make_report(
    ledger: Ledger, subscribers: Sequence[Subscriber], *, done: Counter[str], failures: list[str], retries: int,
    most_connected: Mapping[str, int], partitions: str, held_up: float,
) -> dict[str, Any]:  # fmt: skip
    """Judge a run."""
    exceeded = {name: count for name, count in ledger.excesses.items() if name not in EXCESS_ALLOWED}
    found: dict[str, Any] = {
        "rounds": sum(done.values()), "faults": dict(done), "partitions": partitions,
        "acknowledged": len(ledger.acknowledged), "published_again": retries,
        "subscribers": len(subscribers), "limit": PUBLIC_LIMIT, "most_connected": dict(most_connected),
        "reconnections": sum(len(subscriber.connections) for subscriber in subscribers),
        "gaps_told": sum(len(subscriber.gap_times) for subscriber in subscribers),
        "longest_silence_seconds": round(ledger.longest_silence, 1),
        "longest_silence_by_fault": {name: round(seconds, 1) for name, seconds in ledger.silences.items()},
        "revoked": ledger.revoked, "slowest_revocation_seconds": round(ledger.slowest_revocation, 2),
        "slowest_seen_by_a_client_seconds": round(ledger.slowest_seen, 2),
        "closed_in_time_and_seen_late": ledger.seen_late,
        "revoked_late_by_the_machine": ledger.revoked_late_by_machine,
        "revoked_while_a_node_was_away": len(ledger.closed_after_return),
        "closed_before_it_was_back": ledger.closed_while_away,
        "closed_after_return_seconds": round(max(ledger.closed_after_return, default=0.0), 2),
        "closed_late_by_the_machine": ledger.back_late_by_machine,
        "this_program_held_up_seconds": round(held_up, 2), "slow": ledger.slow,
        **ledger.judge(subscribers),
        "limits_exceeded": sum(exceeded.values()), "limits_exceeded_by_fault": exceeded,
        "revoked_late": ledger.revoked_late, "closed_late_after_return": ledger.back_late,
        "silent_node_not_named": ledger.unnamed, "failures": failures,
    }  # fmt: skip
    return found | {"ok": not any(found[name] for name in ZEROS)}


def nodes_scoreboard(report: dict[str, Any]) -> str:
    """Format the report for people."""
    lines = [f"chaos over nodes: {report['rounds']} rounds, seed {report['seed']}; partitions: {report['partitions']}"]
    most, silences = report["most_connected"], report["longest_silence_by_fault"]
    lines.append(f"  {'fault':<40} {'rounds':>6} {'most of 5 connected':>20} {'longest silence':>16}")
    for name, count in report["faults"].items():
        lines.append(f"  {name:<40} {count:>6} {most.get(name, 0):>20} {silences.get(name, 0):>14} s")
    shown = set(report) - {"faults", "most_connected", "longest_silence_by_fault", "seed", "rounds", "partitions", "ok"}
    for name in (each for each in report if each in shown):
        lines.append(f"{name.replace('_', ' '):<38} {report[name] or 0!s:>8}")
    lines.append("all zeros" if report["ok"] else "NOT OK")
    return "\n".join(lines)
