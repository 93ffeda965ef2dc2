"""The root of errors that are told to an operator: what a command answers to the shell follows from their kind."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class ExitKind(Enum):
    """What kind of failure an error is; the command line turns it into an exit code."""

    FAILED = "failed"
    WRONG_USAGE = "wrong usage"
    ALREADY_RUNNING = "already running"


class OperatorError(Exception):
    """An error whose text says to an operator what is wrong and what to do next, without a traceback."""

    exit_kind: ClassVar[ExitKind] = ExitKind.FAILED
