"""The output of the disk harnesses: one table, one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from support.disk.judgement import FAULTS, Judgement


class Tally:
    """Judgements, summed up by group."""

    def __init__(self, group_names: Sequence[str], faults: Sequence[str] = FAULTS) -> None:
        """``faults``: what must never be found."""
        self._group_names = group_names
        self._faults = faults
        self._groups: dict[tuple[str, ...], Judgement] = {}
        self.count = 0

    def add(self, group: Sequence[str], judgement: Judgement, where: str) -> None:
        """Add one judgement; ``where`` says how to find its case again."""
        self.count += 1
        kept = self._groups.setdefault(tuple(group), Judgement())
        kept["cases"] += 1
        kept["faulty"] += any(judgement[fault] for fault in self._faults)
        kept.update(judgement)
        room = 3 - len(kept.examples)
        kept.examples += [f"{example} ({where})" for example in judgement.examples[: max(0, room)]]

    def rows(self) -> list[dict[str, Any]]:
        """Return one document per group."""
        return [
            {**dict(zip(self._group_names, group, strict=True)), **found, "examples": found.examples}
            for group, found in sorted(self._groups.items())
        ]

    @property
    def is_well(self) -> bool:
        """Whether nothing was found that must never be."""
        return not any(found["faulty"] for found in self._groups.values())


def print_report(head: Mapping[str, Any], tally: Tally, group_names: Sequence[str], *, as_json: bool) -> int:
    """Print it; return the exit code."""
    rows = tally.rows()
    if as_json:
        print(json.dumps({**head, "ok": tally.is_well, "rows": rows}))
        return 0 if tally.is_well else 1
    print(", ".join(f"{name} {value}" for name, value in head.items()))
    columns = ["cases", *sorted({name for row in rows for name in row} - {*group_names, "examples", "cases"})]
    columns.sort(key=lambda name: (name != "cases", name not in FAULTS, name))
    lines = [[*group_names, *columns]]
    lines += [[str(row.get(name, 0)) for name in (*group_names, *columns)] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    for row in rows:
        for example in row["examples"][:2]:
            print(f"  {' '.join(str(row[name]) for name in group_names)}: {example[:220]}")
    print("nothing that may not be" if tally.is_well else "NOT OK")
    return 0 if tally.is_well else 1
