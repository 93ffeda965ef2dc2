"""Questions to all nodes that share a broker, through the daemon of this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from swimctl.client.session import RpcFailed
from swimctl.errors import NotFound

if TYPE_CHECKING:
    from swimctl.client.control import ControlClient
    from swimctl.output import Output

METHOD_NOT_FOUND, NOT_FOUND = -32601, -32004
ASK_SECONDS = 5.0
EXTRA_SECONDS = 5.0
"""How much longer than the asked node the caller waits."""


class FromNodes:
    """What the nodes answered."""

    def __init__(self, answers: Mapping[str, Any], errors: Mapping[str, Any], complaints: list[str], own: str) -> None:
        self.answers = answers
        """By node, the one asked first is the first; of a single node its name is empty."""
        self.errors = errors
        """What nodes answered with an error: code, message and data."""
        self.complaints = complaints
        """Which nodes are missing, and why, for the operator."""
        self.own = own
        """The node of this machine's daemon."""

    def tell(self, messages: Output) -> None:
        """Say which nodes are missing from what is shown."""
        for complaint in self.complaints:
            messages.line(complaint)


def call_on(
    control: ControlClient,
    node: str | None,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    seconds: float = ASK_SECONDS,
) -> Any:
    """Call a method on a node, or on the daemon of this machine. Raises NotFound if there is no such node."""
    if node is None:
        return control.call(method, params, timeout=seconds + EXTRA_SECONDS)
    question = {"node": node, "method": method, "params": dict(params or {}), "seconds": seconds}
    try:
        return control.call("on_node", question, timeout=seconds + EXTRA_SECONDS)
    except RpcFailed as failed:
        if failed.code == NOT_FOUND and isinstance(failed.data, dict) and failed.data.get("missing") == "node":
            raise NotFound(failed.problem, "list them with: swimctl nodes") from None
        raise


def call_on_all(
    control: ControlClient, method: str, params: Mapping[str, Any] | None = None, *, seconds: float = ASK_SECONDS
) -> FromNodes:
    """Call a method on every node. A daemon that knows no other nodes answers alone."""
    question = {"method": method, "params": dict(params or {}), "seconds": seconds}
    try:
        found = control.call("on_nodes", question, timeout=seconds + EXTRA_SECONDS)
    except RpcFailed as failed:
        if failed.code != METHOD_NOT_FOUND:
            raise
        return FromNodes({"": control.call(method, params, timeout=seconds + EXTRA_SECONDS)}, {}, [], "")
    own = found.get("node") or ""
    complaints = [f"node {name} has not answered: what it has is missing here" for name in found.get("silent", [])]
    if found.get("problem"):
        complaints.append(f"only this node is shown; the others can't be asked: {found['problem']}")
    return FromNodes(found["answers"], found.get("errors", {}), complaints, own)


def first_error(method: str, errors: Mapping[str, Any]) -> RpcFailed:
    """Return the error of a question that no node could answer, preferably one that is not about what is missing."""
    ordered = sorted(errors.values(), key=lambda error: error["code"] == NOT_FOUND)
    return RpcFailed(method, ordered[0]["code"], ordered[0]["message"], ordered[0].get("data"))


def merge_top(found: FromNodes, rows: int) -> dict[str, Any]:
    """Return this node's ``top`` with the clients of all. Events are the same everywhere, and counted once."""
    documents: dict[str, dict[str, Any]] = {
        name: answer for name, answer in found.answers.items() if isinstance(answer, dict)
    }
    merged = dict(next(iter(documents.values())))
    if len(documents) == 1:
        return merged
    for name in ("busiest", "slow"):
        merged[name] = _busiest(documents, name, rows)
    channels: Counter[str] = Counter()
    for document in documents.values():
        channels.update({each["channel"]: each["connections"] for each in document["channels"]})
    merged["channels"] = [{"channel": name, "connections": number} for name, number in channels.most_common(rows)]
    merged["status"] = _merge_status([document["status"] for document in documents.values()])
    return merged


def _busiest(documents: Mapping[str, dict[str, Any]], name: str, rows: int) -> list[dict[str, Any]]:
    every = [{**each, "node": node} for node, document in documents.items() for each in document[name]]
    by = "per_second" if name == "busiest" else "buffered_bytes"
    return nlargest(rows, every, key=lambda each: each[by])


def _merge_status(documents: list[dict[str, Any]]) -> dict[str, Any]:
    merged = dict(documents[0])
    for name in ("deliveries", "deliveries_per_second"):
        merged[name] = sum(document[name] for document in documents)
    refused: Counter[str] = Counter()
    for document in documents:
        refused.update(document["refused"])
    merged["refused"] = dict(refused)
    merged["slow_consumers"] = _sums(document["slow_consumers"] for document in documents)
    connections = [document["connections"] for document in documents]
    merged["connections"] = {
        **connections[0],
        "total": sum(each["total"] for each in connections),
        "by_tier": {
            tier: {**use, "current": sum(each["by_tier"].get(tier, {}).get("current", 0) for each in connections)}
            for tier, use in connections[0]["by_tier"].items()
        },
    }
    return merged


def _sums(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row)
    return dict(total)


def best_explained(found: FromNodes) -> dict[str, Any] | None:
    """Return the answer of the node that knows most about the consumer; None: none knows it."""
    from swim_server.streaming.explain.outcome import RANK

    ranks = {str(outcome): rank for outcome, rank in RANK.items()}
    answers = [answer for answer in found.answers.values() if isinstance(answer, dict)]
    if not answers:
        return None
    if "outcome" in answers[0]:
        return min(answers, key=lambda answer: ranks.get(str(answer.get("outcome")), len(ranks)))
    return max(answers, key=lambda answer: sum(len(each["connections"]) for each in answer["subscriptions"]))
