"""The command tree: global options, commands loaded on demand, errors turned into exit codes.

A command's module has a Typer instance ``app`` made by ``command_group`` or ``single_command``; it raises
``swimctl.errors.CommandError`` for what the user should be told. Heavy imports happen inside its functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from swimctl import standard_streams
from swimctl.command_table import ENTRIES
from swimctl.completion.words import contexts
from swimctl.errors import ExitCode, WrongUsage
from swimctl.failures import report, with_lost_output
from swimctl.help_style import TextStyle, paint_help
from swimctl.invocation import Invocation
from swimctl.overview import overview
from swimctl.usage_errors import no_such_command

if TYPE_CHECKING:
    from swimctl.contexts import Context

Command = TypeVar("Command", bound=Callable[..., Any])

_HOISTED_FLAGS = ("--debug",)
_HOISTED_OPTIONS = ("--config", "--context")


class LazyGroup(TyperGroup):
    """The top level. Knows its commands by name and summary, and imports a command's module only to run it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = ENTRIES.get(cmd_name)
        return None if entry is None else load_command(entry.module, entry.name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in ENTRIES and not ctx.resilient_parsing:
            problem, hint = no_such_command("swimctl", args, ENTRIES)
            near = hint.partition("did you mean: swimctl ")[2]
            if near and len(args) > 1 and args[1] in getattr(self.get_command(ctx, near), "commands", ()):
                hint += f" {args[1]}"
            raise WrongUsage(problem, hint)
        entry = ENTRIES.get(args[0])
        if entry is not None and not ctx.resilient_parsing:
            return entry.name, load_command(entry.module, entry.name, args[1:2]), args[1:]
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(overview(formatter.width, style=TextStyle.of(sys.stdout, os.environ)))


class StyledCommand(TyperCommand):
    """A command whose help looks like the main page."""

    def get_help(self, ctx: Any) -> str:
        return paint_help(super().get_help(ctx))


class StyledGroup(TyperGroup):
    """Several commands: ``swimctl keys``."""

    def get_help(self, ctx: Any) -> str:
        return paint_help(super().get_help(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise WrongUsage(*no_such_command(ctx.command_path, args, self.commands))
        return super().resolve_command(ctx, args)


class CommandApp(typer.Typer):
    """The ``app`` of a command's module."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Command], Command]:
        """Register a function as a command with styled help."""
        return super().command(name, **{"cls": StyledCommand, **settings})


def load_command(module: str, name: str, words: Sequence[str] = ()) -> Any:
    """Import a command's module and build its command; of a group, only the subcommand that ``words`` begin with."""
    app: typer.Typer = import_module(module).app
    app.rich_markup_mode = None  # plain help: fast, and the same at every width and in pipes
    known = app.registered_commands
    called = [each for each in known if _typed_name(each) in words] if len(known) > 1 else []
    app.registered_commands = called or known
    try:
        command = typer.main.get_group(app) if called else typer.main.get_command(app)
    finally:
        app.registered_commands = known
    command.name = name
    return command


def _typed_name(command: Any) -> str:
    return str(command.name or typer.main.get_command_name(command.callback.__name__))


def command_group(summary: str) -> CommandApp:
    """Make the ``app`` of a module with several commands: ``swimctl keys create``, ``swimctl keys list`` …"""
    return CommandApp(cls=StyledGroup, help=summary, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def single_command() -> CommandApp:
    """Make the ``app`` of a module with one command: ``swimctl tail``."""
    return CommandApp(add_completion=False, rich_markup_mode=None)


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
    named: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            autocompletion=contexts,
            help="The service to use, by its context's name (env SWIM_CONTEXT).",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks too.")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """SWIM: live flight and traffic management events from VATSIM, streamed as they happen."""
    address = None if context.invoked_subcommand in OF_NO_SERVICE else enter_context(named)
    context.obj = Invocation(config_path=config, debug=debug, context=address)
    if context.invoked_subcommand not in READ_NO_CONFIGURATION:
        check_config_exists("--config", config)
        if context.invoked_subcommand not in DIAGNOSES_CONFIGURATION:
            check_config_exists("SWIM_CONFIG", None if config is not None else os.environ.get("SWIM_CONFIG"))


def enter_context(named: str | None) -> tuple[str, Context] | None:
    """Apply the context in force: a home becomes SWIM_HOME for this process and its children; an address is returned.

    Raises NotFound, WrongUsage.
    """
    from swimctl import contexts as stored

    found = stored.chosen(named, os.environ)
    os.environ.pop(stored.VARIABLE, None)  # a daemon started here keeps its home even if the context changes
    if found is None or found[1].url is not None:
        return found
    os.environ["SWIM_HOME"] = str(found[1].home)
    if found[1].config is not None:
        os.environ.setdefault("SWIM_CONFIG", found[1].config)
    return None


OF_NO_SERVICE = ("completion", "context", "demo", "version")
"""Commands that ignore the context."""
READ_NO_CONFIGURATION = ("completion", "config", "context", "demo", "version")
"""Commands that run without reading the configuration; those of ``config`` report its errors themselves."""
DIAGNOSES_CONFIGURATION = ("doctor",)
"""Commands to which a missing file is a finding, beside others."""


def check_config_exists(named_by: str, path: Path | str | None) -> None:
    """Raise WrongUsage if a configuration file was named but does not exist, even if it would not be read."""
    try:
        is_missing = bool(path) and not Path(str(path)).expanduser().exists()
    except (OSError, RuntimeError):
        return  # the code that reads it reports what is wrong with it
    if is_missing:
        raise WrongUsage(f"{named_by}: there is no file {path}", f"create one: swimctl config init {path}")


def run(words: list[str]) -> int:
    """Run one command line and return its exit code. Errors are printed to standard error, in one or two lines."""
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
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # while a command runs, Typer turns it into exit code 1
            return _reader_went_away()
        raise
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except (Exception, typer.Abort, typer.Exit) as error:  # noqa: BLE001 - the one place where errors become exit codes
        return report(with_lost_output(error), debug)
    return result if isinstance(result, int) else ExitCode.DONE


def hoist(words: list[str]) -> list[str]:
    """Move the global options to the front, so that they may also follow the command."""
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


def _reader_went_away() -> int:
    """Exit quietly when the reader of our output has gone, without a message at interpreter exit either."""
    standard_streams.discard_output()
    return ExitCode.DONE
