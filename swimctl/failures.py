"""What an error means for the user: one or two lines on standard error, and the exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import typer
from swim_server.errors import ExitKind, OperatorError

from swimctl import standard_streams
from swimctl.errors import CommandError, ExitCode, OutputLost
from swimctl.help_style import BOLD, RED, TextStyle
from swimctl.usage_errors import explain_usage

# Typer carries its own copy of Click or depends on it, by version; its public names lead to the same classes.
UsageError = typer.BadParameter.__mro__[1]
ClickError = typer.BadParameter.__mro__[2]

_EXIT_CODES = {
    ExitKind.FAILED: ExitCode.FAILED,
    ExitKind.WRONG_USAGE: ExitCode.WRONG_USAGE,
    ExitKind.ALREADY_RUNNING: ExitCode.ALREADY_RUNNING,
}

_POSIX_MODULES = frozenset({"fcntl", "grp", "pwd", "resource", "termios", "tty"})


def report(error: BaseException, debug: bool) -> int:
    """Print what went wrong and what to type next on standard error; return the exit code."""
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return ExitCode.INTERRUPTED
    if debug:
        import traceback

        traceback.print_exception(error)
    problem, next_step, code = _explain(error)
    style = TextStyle.of(sys.stderr, os.environ)
    label = style.paint("error:", RED if style.colour else BOLD)
    with suppress(OSError):  # if standard error is closed or full, there is still the exit code
        sys.stderr.write(f"{label} {problem}\n" + (f"{next_step}\n" if next_step else ""))
        sys.stderr.flush()
    return code


def with_lost_output(error: BaseException) -> BaseException:
    """Write what was printed before the error. If that fails, report the loss of the output instead."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        standard_streams.discard_output()
    except OSError as lost:
        standard_streams.discard_output()
        if isinstance(error, OSError) and error.errno == lost.errno:
            return OutputLost(lost.strerror or str(lost))
    if (
        isinstance(error, OSError)
        and error.filename is None
        and (problem := standard_streams.write_problem(sys.stdout))
    ):
        standard_streams.discard_output()
        return OutputLost(problem)
    return error


def _explain(error: BaseException) -> tuple[str, str | None, int]:
    """Return the problem, the next step, and the exit code."""
    if isinstance(error, CommandError):
        return error.problem, error.next_step, error.exit_code
    if isinstance(error, UsageError):
        return *explain_usage(error), ExitCode.WRONG_USAGE
    if isinstance(error, ClickError):
        return str(getattr(error, "message", error)), None, ExitCode.FAILED
    known = _explain_known(error)
    if known is not None:
        return known
    if isinstance(error, ModuleNotFoundError) and error.name in _POSIX_MODULES:
        return (
            f"this command needs Linux: this Python has no {error.name}",
            "these work on every system: swimctl tail --url, swimctl config, and the Python SDK",
            ExitCode.FAILED,
        )
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
        return f"the code on disk is broken: {place}: {error.msg}", None, ExitCode.FAILED
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", None, ExitCode.FAILED
    return (
        f"a bug in swimctl: {type(error).__name__}: {error}",
        "run it again with --debug and report what it prints",
        ExitCode.FAILED,
    )


def _explain_known(error: BaseException) -> tuple[str, str | None, int] | None:
    """Explain an error of the service that is meant for the operator."""
    if not isinstance(error, OperatorError):
        return None
    return str(error), None, _EXIT_CODES[error.exit_kind]
