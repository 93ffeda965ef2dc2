"""Errors that a command reports to the user: one or two lines each, and an exit code."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes that scripts depend on."""

    DONE = 0
    FAILED = 1
    WRONG_USAGE = 2
    NOT_RUNNING = 3
    ALREADY_RUNNING = 4
    NOT_FOUND = 5
    REFUSED = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """A command can't do what it was asked to.

    ``problem`` is one line: what is wrong, with which value, by which rule. ``next_step`` is what to type next.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, problem: str, next_step: str | None = None) -> None:
        self.problem = problem
        self.next_step = next_step
        super().__init__(problem)

    def __str__(self) -> str:
        return self.problem if self.next_step is None else f"{self.problem}\n{self.next_step}"


class CommandFailed(CommandError):
    """The command tried and failed."""


class OutputLost(CommandFailed):
    """Standard output can't be written."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"standard output can't be written: {reason}")


class Declined(CommandFailed):
    """The user answered no."""

    def __init__(self) -> None:
        super().__init__("cancelled: nothing was done")


class WrongUsage(CommandError):
    """The command line or the configuration is invalid."""

    exit_code = ExitCode.WRONG_USAGE


class DaemonNotRunning(CommandError):
    """No daemon serves from this home."""

    exit_code = ExitCode.NOT_RUNNING

    def __init__(self, problem: str = "the daemon is not running", next_step: str | None = None) -> None:
        super().__init__(problem, next_step or "start it with: swimctl serve --detach")


class AlreadyRunning(CommandError):
    """A daemon already serves from this home."""

    exit_code = ExitCode.ALREADY_RUNNING


class NotFound(CommandError):
    """There is no such key, connection or event."""

    exit_code = ExitCode.NOT_FOUND


class Refused(CommandError):
    """The service refused: authentication or a limit."""

    exit_code = ExitCode.REFUSED
