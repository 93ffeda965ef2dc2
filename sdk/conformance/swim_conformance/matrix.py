"""The matrix: the result of each scenario for each client. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swim_conformance.runner import Result

PASSED, FAILED, NOT_JUDGED = "✓", "✗", "–"


def cell(result: Result) -> str:
    """Format one result."""
    if not result.is_judged:
        return NOT_JUDGED
    return PASSED if result.has_passed else FAILED


def table(columns: Mapping[str, Sequence[Result]]) -> list[str]:
    """Format all results as lines of text: a row per scenario, a column per client, totals below."""
    clients = list(columns)
    first = next(iter(columns.values()), [])
    names = [result.scenario.name for result in first]
    width = max((len(name) for name in names), default=8)
    lines = [" ".join([" " * width, *clients])]
    for number, name in enumerate(names):
        cells = [f"{cell(columns[client][number]):^{len(client)}}" for client in clients]
        lines.append(" ".join([f"{name:<{width}}", *cells]).rstrip())
    sums = [f"{sum(one.has_passed for one in columns[client]):^{len(client)}}" for client in clients]
    lines.append(" ".join([f"{'passed':<{width}}", *sums]).rstrip())
    return lines


def markdown(columns: Mapping[str, Sequence[Result]]) -> list[str]:
    """Format all results as a Markdown table."""
    clients = list(columns)
    first = next(iter(columns.values()), [])
    lines = [f"| scenario | rules | {' | '.join(clients)} |", f"| --- | --- | {' | '.join('---' for _ in clients)} |"]
    for number, result in enumerate(first):
        cells = " | ".join(cell(columns[client][number]) for client in clients)
        rules = ", ".join(map(str, result.scenario.rules))
        lines.append(f"| `{result.scenario.name}` | {rules} | {cells} |")
    return lines


def problems(columns: Mapping[str, Sequence[Result]]) -> list[str]:
    """List what went wrong, one line per problem."""
    return [
        f"{client}: {result.scenario.name}: {problem}"
        for client, results in columns.items()
        for result in results
        for problem in result.problems
    ]
