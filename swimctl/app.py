"""The command tree: global options, commands loaded when they are called, errors turned into exit codes.

A command's module has a Typer instance ``app`` made by ``command_group`` or ``single_command``; it raises
``swimctl.errors.CommandError`` for what a person should be told. Heavy imports happen inside its functions.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from swim_server.errors import ExitKind, OperatorError
from typer.core import TyperGroup

from swimctl.command_table import ENTRIES
from swimctl.errors import CommandError, ExitCode, WrongUsage
from swimctl.invocation import Invocation
from swimctl.overview import overview

# Typer carries its own copy of Click or depends on it, by version; its public names lead to the same classes.
UsageError = typer.BadParameter.__mro__[1]
ClickError = typer.BadParameter.__mro__[2]

_EXIT_CODES = {
    ExitKind.FAILED: ExitCode.FAILED,
    ExitKind.WRONG_USAGE: ExitCode.WRONG_USAGE,
    ExitKind.ALREADY_RUNNING: ExitCode.ALREADY_RUNNING,
}

_HOISTED_FLAGS = ("--debug",)
_HOISTED_OPTIONS = ("--config",)


class LazyGroup(TyperGroup):
    """The top level. Knows its commands by name and summary; imports a command's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = ENTRIES.get(cmd_name)
        return None if entry is None else load_command(entry.module, entry.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in ENTRIES and not ctx.resilient_parsing:
            near = get_close_matches(name, ENTRIES, n=1, cutoff=0.5)
            hint = f"did you mean: swimctl {near[0]}" if near else "all commands: swimctl --help"
            raise WrongUsage(f"there is no command {name!r}", hint)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(overview(formatter.width))


def load_command(module: str, name: str) -> Any:
    """Import a command's module and build its command."""
    app: typer.Typer = import_module(module).app
    app.rich_markup_mode = None  # plain help: at once, and the same in every width and pipe
    command = typer.main.get_command(app)
    command.name = name
    return command


def command_group(summary: str) -> typer.Typer:
    """Make the ``app`` of a module with several commands: ``swimctl keys create``, ``swimctl keys list`` …"""
    return typer.Typer(help=summary, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def single_command() -> typer.Typer:
    """Make the ``app`` of a module with one command: ``swimctl tail``."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


root = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@root.callback()
def global_options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration file (env SWIM_CONFIG).")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Tell everything, tracebacks too.")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """SWIM: live flight and traffic management events from VATSIM, streamed as they happen."""
    context.obj = Invocation(config_path=config, debug=debug)


def run(words: list[str]) -> int:
    """Run one command line; answer its exit code. Errors are told on standard error, in one or two lines."""
    words = hoist(words)
    debug = "--debug" in words
    try:
        if words[:1] == ["--version"]:
            from swim_server import __version__

            sys.stdout.write(f"swimctl {__version__}\n")
            return ExitCode.DONE
        result = typer.main.get_command(root).main(args=words, prog_name="swimctl", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_went_away()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (Exception, typer.Abort, typer.Exit) as error:  # noqa: BLE001 - the one place where errors become exit codes
        return _report(error, debug)
    return result if isinstance(result, int) else ExitCode.DONE


def hoist(words: list[str]) -> list[str]:
    """Move the global options to the front, so that they may also stand after the command."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            rest += [word, *remaining]
        elif word in _HOISTED_FLAGS:
            front.append(word)
        elif word in _HOISTED_OPTIONS:
            front += [word, *([value] if (value := next(remaining, None)) is not None else [])]
        elif word.partition("=")[0] in _HOISTED_OPTIONS:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _report(error: BaseException, debug: bool) -> int:
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return ExitCode.INTERRUPTED
    if debug:
        import traceback

        traceback.print_exception(error)
    problem, next_step, code = _explain(error)
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    label = "\x1b[1;31merror:\x1b[0m" if colour else "error:"
    sys.stderr.write(f"{label} {problem}\n")
    if next_step:
        sys.stderr.write(f"{next_step}\n")
    return code


def _explain(error: BaseException) -> tuple[str, str | None, int]:
    """Return what to tell, what to type next, and the exit code."""
    if isinstance(error, CommandError):
        return error.problem, error.next_step, error.exit_code
    if isinstance(error, UsageError):
        return _explain_usage(error)
    if isinstance(error, ClickError):
        return str(getattr(error, "message", error)), None, ExitCode.FAILED
    known = _explain_known(error)
    if known is not None:
        return known
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


def _explain_usage(error: Any) -> tuple[str, str | None, int]:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "swimctl"
    message = " ".join(error.format_message().split())
    if type(error).__name__ == "NoArgsIsHelpError":
        return f"{path} needs a command", f"see: {path} --help", ExitCode.WRONG_USAGE
    return f"{path}: {message[:1].lower()}{message[1:].rstrip('.')}", f"see: {path} --help", ExitCode.WRONG_USAGE


def _explain_known(error: BaseException) -> tuple[str, str | None, int] | None:
    """Tell an error of the service that is meant for the operator."""
    if not isinstance(error, OperatorError):
        return None
    return str(error), None, _EXIT_CODES[error.exit_kind]


def _reader_went_away() -> int:
    """Whoever read our output has gone, and has what it wanted: say nothing, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE
