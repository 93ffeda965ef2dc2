"""What can be wrong with a configuration, and where a value came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from swim_server.errors import ExitKind, OperatorError


class Origin(msgspec.Struct, frozen=True):
    """Where a value comes from."""

    kind: Literal["default", "file", "environment", "option"]
    name: str = ""
    """The file as it was named, the variable, or the option."""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        return self.name if self.line is None else f"{self.name}, line {self.line}"


DEFAULT = Origin("default")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    setting: str
    """Its dotted name: ``tiers.developer.connections``; empty for the file as a whole."""
    rule: str
    """What was expected, what was found, and the most similar valid name if there is one."""
    origin: Origin | None = None

    def __str__(self) -> str:
        place = f" ({self.origin})" if self.origin is not None and self.origin.kind != "default" else ""
        return f"in {self.setting}: {self.rule}{place}" if self.setting else f"{self.rule}{place}"


class ConfigError(OperatorError):
    """The configuration can't be used. Holds everything that is wrong with it, not just the first thing."""

    exit_kind = ExitKind.WRONG_USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
