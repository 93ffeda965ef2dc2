"""Scripts of a server: what it does to each connection in turn. Parses them and reports errors in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Step = Mapping[str, Any]

STEPS: Mapping[str, tuple[str, ...]] = {
    "refuse": ("headers", "body"),
    "ignore": (),
    "drop": (),
    "greet": (),
    "on": ("say", "merge", "error", "message", "data", "always"),
    "await": ("count", "within"),
    "publish": ("type", "data", "chunks", "pause"),
    "store": ("type", "data"),
    "state": (),
    "repeat": (),
    "forget": (),
    "epoch": ("first_ms",),
    "heartbeat": (),
    "send": (),
    "send_text": (),
    "send_binary": (),
    "error": ("message", "data"),
    "ping": (),
    "close": ("reason",),
    "cut": (),
    "freeze": (),
    "away": (),
    "sleep": (),
    "until": (),
    "signal": (),
}
"""Each kind of step, with its optional fields. ``README.md`` explains them."""
BEFORE_UPGRADE = frozenset({"refuse", "ignore", "drop"})
"""Steps that answer an attempt instead of the upgrade."""
MAX_ADDRESSES = 20
_ENDING = frozenset({"refuse", "ignore", "drop", "close", "cut", "away"})


class ScriptError(ValueError):
    """A script that is invalid."""

    def __init__(self, where: str, problem: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(where, problem)

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Script:
    """What a server does: connection by connection, then ordinary service for all further ones."""

    connections: Sequence[Sequence[Step]] = ()
    resume: bool = True
    """False: like the former service, without event ids and without resume."""
    history: int = 0
    """How many events are stored before the first client connects."""
    epoch: str | None = None
    listens_after: float = 0.0
    """For how many seconds connections are refused at first."""
    compression: bool = False
    addresses: int = 1
    """At how many addresses it listens, like a service of several nodes; ``url`` has them all."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, given: object, where: str = "script") -> Script:
        """Parse a script from decoded JSON. Raises ScriptError."""
        if not isinstance(given, Mapping):
            raise ScriptError(where, f"must be an object, got {_kind(given)}")
        known = {"connections", "resume", "history", "epoch", "listens_after", "compression", "addresses", "about"}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ScriptError(where, f"unknown field {unknown[0]!r}; known are: {', '.join(sorted(known))}")
        addresses = given.get("addresses", 1)
        if not isinstance(addresses, int) or not 1 <= addresses <= MAX_ADDRESSES:
            raise ScriptError(f"{where}.addresses", f"must be a number from 1 to {MAX_ADDRESSES}, got {addresses!r}")
        connections = given.get("connections", [])
        if not isinstance(connections, list):
            raise ScriptError(f"{where}.connections", f"must be a list of lists of steps, got {_kind(connections)}")
        for number, steps in enumerate(connections):
            _check_steps(steps, f"{where}.connections[{number}]")
        return cls(
            connections,
            resume=bool(given.get("resume", True)),
            history=int(given.get("history", 0)),
            epoch=given.get("epoch"),
            listens_after=float(given.get("listens_after", 0)),
            compression=bool(given.get("compression", False)),
            addresses=addresses,
        )

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a script from a file; of a scenario's file, the server's part. Raises ScriptError, OSError."""
        try:
            given = json.loads(path.read_text("utf-8"))
        except ValueError as problem:
            raise ScriptError(str(path), f"not JSON: {problem}") from None
        if isinstance(given, dict) and isinstance(given.get("server"), dict):
            given = given["server"]
        return cls.read(given, str(path))


def _check_steps(steps: object, where: str) -> None:
    if not isinstance(steps, list):
        raise ScriptError(where, f"must be a list of steps, got {_kind(steps)}")
    for number, step in enumerate(steps):
        here = f"{where}[{number}]"
        if not isinstance(step, Mapping) or not step:
            raise ScriptError(here, f'a step is an object such as {{"close": 1012}}, got {json.dumps(step)[:60]}')
        name = step_name(step)
        if name is None:
            raise ScriptError(here, f"unknown step {next(iter(step))!r}; steps are: {', '.join(STEPS)}")
        beside = [field_name for field_name in step if field_name != name and field_name not in STEPS[name]]
        if beside:
            may = ", ".join(STEPS[name]) or "nothing"
            raise ScriptError(here, f"{beside[0]!r} can't stand beside {name!r}; {may} can")
        if name in BEFORE_UPGRADE and number > 0:
            raise ScriptError(here, f"{name!r} answers the attempt itself, so it must be the first step")
        if name in _ENDING and number < len(steps) - 1 and name != "away":
            raise ScriptError(here, f"nothing can follow {name!r}, which ends the connection")


def step_name(step: Step) -> str | None:
    """Return the kind of this step; None for an unknown one. The first field that names a kind counts."""
    return next((name for name in step if name in STEPS), None)


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
