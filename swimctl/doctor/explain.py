"""Why a check came out as it did: its dependencies, and the facts that each step asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from swimctl.doctor.check import Result
from swimctl.doctor.facts import Fact, FactBook, encoded
from swimctl.doctor.graph import Graph
from swimctl.doctor.redaction import redact


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One check on the path."""

    result: Result
    facts: tuple[Fact, ...]
    """In the order in which the check asked for them."""


def explain(id: str, results: Sequence[Result], graph: Graph, book: FactBook) -> list[Step]:
    """Return the path: dependencies first, the check itself last."""
    by_id = {each.id: each for each in results}
    return [
        Step(
            result=by_id[each], facts=tuple(book.facts[fact] for fact in book.used.get(each, ()) if fact in book.facts)
        )
        for each in graph.path(id)
        if each in by_id
    ]


def value_of(fact: Fact) -> str:
    """Format a fact's value, or its error, as one line of JSON; secrets are hidden."""
    if fact.error is not None:
        return redact(f"{fact.error.kind}: {' '.join(str(each) for each in fact.error.fields if each is not None)}")
    return redact(msgspec.json.encode(encoded(fact.value)).decode())


def document(id: str, steps: Sequence[Step]) -> Mapping[str, Any]:
    """Return the path as ``--json`` prints it."""
    return {
        "check": id,
        "path": [
            {
                **msgspec.to_builtins(each.result),
                "facts": [
                    {
                        "fact": fact.id, "source": fact.source, "at": fact.at, "seconds": fact.seconds,
                        "value" if fact.error is None else "error": value_of(fact),
                    }
                    for fact in each.facts
                ],
            }
            for each in steps
        ],
    }  # fmt: skip
