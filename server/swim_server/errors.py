"""The base of errors shown to an operator; their kind determines a command's exit code."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class ExitKind(Enum):
    """What kind of failure an error is; the command line turns it into an exit code."""

    FAILED = "failed"
    WRONG_USAGE = "wrong usage"
    ALREADY_RUNNING = "already running"


class OperatorError(Exception):
    """An error whose text tells an operator what is wrong and what to do next, without a traceback."""

    exit_kind: ClassVar[ExitKind] = ExitKind.FAILED
