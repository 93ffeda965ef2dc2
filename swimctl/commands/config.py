"""``swimctl config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from swimctl.app import command_group
from swimctl.completion.words import settings
from swimctl.errors import ExitCode
from swimctl.invocation import Invocation, invocation_of

_INSTALLED = Path(__file__).parents[1] / "swim.toml"
_IN_CHECKOUT = Path(__file__).parents[2] / "config" / "swim.toml"


def read_template() -> str:
    """Read the template from the installed package, or from the checkout that this code runs from."""
    return (_INSTALLED if _INSTALLED.exists() else _IN_CHECKOUT).read_text("utf-8")


app = command_group("Show, check and change the configuration.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def show(
    context: typer.Context,
    *,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Show the effective configuration, as TOML. Passwords are shown as ***.

    \b
    Examples:
      swimctl config show
      swimctl config show --origin
      swimctl config show --json | jq .config.tiers
    """
    import msgspec
    from swim_server.config.secrets import without_secrets

    from swimctl.render.config import toml_lines

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    loaded = invocation.load_config()
    values: dict[str, Any] = without_secrets(msgspec.to_builtins(loaded.config))
    origins = {name: str(where) for name, where in loaded.origins.items()}
    if as_json:
        output.document({"config": values, "origins": origins, "files": [str(path) for path in loaded.files]})
    else:
        for line in toml_lines(values, origins if origin else None):
            output.stream.write(f"{line}\n")


@app.command()
def check(context: typer.Context, *, as_json: Json = False) -> int:
    """Check the configuration.

    Reports every problem with its file and line. Exit code 2 if there is any.

    \b
    Examples:
      swimctl config check
      swimctl --config new.toml config check
    """
    from swim_server.config import ConfigError

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    try:
        files = [str(path) for path in invocation.load_config().files]
    except ConfigError as error:
        if not as_json:
            raise
        problems = [
            {"setting": one.setting, "rule": one.rule, "origin": str(one.origin) if one.origin else None}
            for one in error.problems
        ]
        output.document({"ok": False, "problems": problems})
        return ExitCode.WRONG_USAGE
    if as_json:
        output.document({"ok": True, "files": files})
    else:
        output.line(f"valid: {', '.join(files) or 'the built-in defaults, as there is no file'}")
    return ExitCode.DONE


@app.command()
def init(
    context: typer.Context,
    *,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="File to write; default: config/swim.toml in this folder."),
    ] = None,
    user: Annotated[bool, typer.Option("--user", help="Write the user's own file, used in every folder.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Overwrite without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Write an annotated configuration file.

    It lists every setting with its default, as a comment. It is written to the current folder, where swimctl finds it
    when run from there; --user writes one that is found from anywhere.

    \b
    Examples:
      swimctl config init
      swimctl config init --user
      swimctl config init /etc/swim/swim.toml
    """
    from swim_server.files.replacing import replace_durably

    from swimctl.output import require_yes

    invocation = invocation_of(context)
    path = init_path(invocation, path, for_user=user)
    if path.exists():
        require_yes(f"{path} already exists. Overwrite it?", yes=yes)
    output = invocation.output(as_json=as_json)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_durably(path, read_template().encode(), mode=0o644, follows_link=True)
    if as_json:
        output.document({"file": str(path.absolute())})
    else:
        output.line(str(path))
    if not user:
        _tell_where_it_counts(invocation, path)


def init_path(invocation: Invocation, path: Path | None, *, for_user: bool) -> Path:
    """Return the path that ``config init`` writes to. Raises WrongUsage."""
    from swim_server.config.files import FILE_NAME, user_folder

    from swimctl.errors import WrongUsage

    if for_user:
        folder = user_folder(invocation.environ)
        if path is not None:
            raise WrongUsage("config init takes FILE or --user, not both")
        if folder is None:
            raise WrongUsage("--user: this user has no home folder", "name a file: swimctl config init FILE")
        return folder / FILE_NAME
    if path is None:
        return Path("config") / FILE_NAME
    return path / FILE_NAME if path.is_dir() else path


def _tell_where_it_counts(invocation: Invocation, path: Path) -> None:
    """Warn if the file just written is not the one that is read by default."""
    from swim_server.config.files import search_folders

    folders = [folder.absolute() for folder in search_folders(invocation.environ)]
    messages = invocation.messages()
    if path.absolute().parent not in folders:
        messages.line(f"commands use it only when named: swimctl --config {path} status")
    elif path.absolute().parent == folders[0]:
        messages.line(
            f"it is used by commands that run in {Path.cwd()}; --user writes one that is used in every folder"
        )


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_setting(
    context: typer.Context,
    *,
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", autocompletion=settings, help="Dotted name, such as tiers.public.connections."),
    ],
    value: Annotated[str | None, typer.Argument(metavar="VALUE", help="The new value.")] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Remove the value from swim.local.toml.")] = False,
    as_json: Json = False,
) -> None:
    """Set one value.

    It is written to swim.local.toml beside the configuration file; the configuration file itself is never changed.

    \b
    Examples:
      swimctl config set tiers.public.connections 10
      swimctl config set server.trusted_proxies 10.0.0.0/8,127.0.0.1
      swimctl config set tiers.public.connections --unset
    """
    from swim_server.config.edit import set_value
    from swim_server.config.loading import variable_of

    from swimctl.errors import WrongUsage

    if (value is None) != unset:
        raise WrongUsage("config set takes a KEY and a VALUE, or a KEY and --unset", "see: swimctl config set --help")
    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    file, loaded = set_value(key, value, invocation.config_path, environ=invocation.environ, home=invocation.home.path)
    messages, origin = invocation.messages(), loaded.origins.get(key)
    is_overridden = origin is not None and origin.kind == "environment"
    if as_json:
        output.document({"setting": key, "is_set": not unset, "file": str(file), "is_overridden": is_overridden})
    else:
        output.line(f"{key} {'removed from' if unset else 'set in'} {file}")
    if is_overridden:
        messages.line(f"but {variable_of(key)} in the environment overrides it here")
    _tell_how_the_daemon_takes_it(invocation, key)


def _tell_how_the_daemon_takes_it(invocation: Invocation, key: str) -> None:
    from swim_server.config.settings import RELOADABLE
    from swim_server.daemon.lockfile import Lockfile

    messages = invocation.messages()
    if messages.is_terminal and Lockfile(invocation.home.lockfile).is_held():
        command = "reload" if key.startswith(RELOADABLE) else "restart"
        messages.line(f"apply it to the running daemon with: swimctl {command}")


@app.command()
def path(context: typer.Context, *, as_json: Json = False) -> None:
    """Print the files that are in use.

    A file that overrides the others comes last. Prints nothing if there are none.

    \b
    Examples:
      swimctl config path
      $EDITOR "$(swimctl config path | head -1)"
    """
    from swim_server.config.files import find_files, search_folders

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    files = [str(file.absolute()) for file in find_files(invocation.config_path, invocation.environ)]
    if as_json:
        output.document(files)
        return
    for file in files:
        output.line(file)
    if not files:
        folders = ", ".join(str(folder) for folder in search_folders(invocation.environ))
        invocation.messages().line(f"no file found, all defaults; searched {folders}; swimctl config init writes one")
