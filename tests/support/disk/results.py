"""The judged cases in a file, one line each: several processes write it, and a later run continues from it."""

from __future__ import annotations

import argparse
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.disk.judgement import Judgement
from support.disk.report import Tally


class Results:
    """The file. ``head`` describes the run; a file of another run is refused with SystemExit."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if (content := path.read_bytes()) and not content.endswith(b"\n"):
            os.write(self._descriptor, b"\n")  # the machine went down in the midst of a line
        found = next(self._lines(), None)
        if found is None:
            self._write(dict(head))
        elif found != dict(head):
            raise SystemExit(f"{path} holds another run: {found}, asked for is {dict(head)}")

    def add(self, part: str, group: Sequence[str], judgement: Judgement, where: str) -> None:
        """Add a case of a part of the run; ``where`` says how to find it again."""
        found = {fault: number for fault, number in judgement.items() if number}
        self._write({"part": part, "group": list(group), "where": where, **found, "examples": judgement.examples})

    def parts(self) -> Counter[str]:
        """Count the cases of each part so far."""
        return Counter(line["part"] for line in self._cases())

    def add_up(self, tally: Tally) -> None:
        """Add every case to a tally."""
        for line in self._cases():
            judgement = Judgement()
            judgement.examples = line.pop("examples")
            group, where, _ = line.pop("group"), line.pop("where"), line.pop("part")
            judgement.update(line)
            tally.add(group, judgement, where)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _cases(self) -> Iterator[dict[str, Any]]:
        lines = self._lines()
        next(lines, None)
        return lines

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_bytes().splitlines():
            try:
                found: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            yield found

    def _write(self, line: dict[str, Any]) -> None:
        """Append in a single call, so that lines of several processes don't mix."""
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the long runs share."""
    parser.add_argument("--workers", type=int, default=max(2, os.cpu_count() or 1), help="processes that judge")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep each case there; go on from what is there")
    parser.add_argument("--json", action="store_true")


def seed_of(arguments: argparse.Namespace) -> int:
    """Return the given seed, that of the run to continue, or a random one."""
    if arguments.seed is not None:
        return int(arguments.seed)
    if arguments.resume is not None and arguments.resume.exists():
        return int(json.loads(arguments.resume.read_bytes().splitlines()[0])["seed"])
    return random.SystemRandom().randrange(1_000_000)


def open_results(arguments: argparse.Namespace, folder: Path, head: Mapping[str, Any]) -> Results:
    """Open the named file, or one in ``folder``."""
    return Results(arguments.resume or folder / "results", head)
