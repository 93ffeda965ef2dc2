"""``swimctl context add | use | list | remove``."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl import contexts as stored
from swimctl.app import command_group
from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.completion.words import contexts as context_names
from swimctl.errors import NotFound, WrongUsage
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swimctl.output import Output

app = command_group("Name services, and choose the one that commands use.")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class KeyStore(StrEnum):
    """Where to keep a context's key."""

    AUTO = "auto"
    KEYRING = "keyring"
    FILE = "file"


@app.command()
def add(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the context.")],
    home: Annotated[
        Path | None, typer.Option("--home", metavar="FOLDER", help="SWIM_HOME of a service on this machine.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Address of a service.")] = None,
    key_store: Annotated[
        KeyStore,
        typer.Option("--key-store", metavar="S", help="keyring, file (0600), or auto: a keyring if there is one."),
    ] = KeyStore.AUTO,
    use: Annotated[bool, typer.Option("--use", help="Use it as the current context.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace a context of this name without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Name a service: a home on this machine, or an address and its key.

    The key is read from SWIM_API_KEY, else asked for, else read from standard input; it is not an argument, because
    other users can see those. To name a home with its own configuration file, put --config before the command.

    \b
    Examples:
      swimctl context add staging --home /srv/swim-staging
      swimctl context add live --url wss://swim.example.org/api/swim/v1/ws
      swimctl context add live --url wss://… --use < key.txt
    """
    from swimctl.output import require_yes

    invocation = invocation_of(context)
    found = stored.load(invocation.environ)
    if not _NAME.fullmatch(name):
        raise WrongUsage(f"NAME: letters, digits, '.', '_' and '-', 64 at most, got {name!r}")
    if (home is None) == (url is None):
        raise WrongUsage("context add takes either --home or --url", "see: swimctl context add --help")
    output = invocation.output(as_json=as_json)
    if name in found.contexts:
        require_yes(f"{name} is {found.contexts[name].place} already. Replace it?", yes=yes)
    made = _home_context(invocation, home) if home is not None else _address(invocation, name, str(url), key_store)
    if name in found.contexts and found.contexts[name].url != made.url:
        stored.forget_key(name, found.contexts[name])
    found.contexts[name] = made
    if use:
        found.current = name
    stored.save(found, invocation.environ)
    if as_json:
        output.document(_row(name, made, found.current))
    else:
        _tell_of(name, made, output, invocation.messages(), is_current=found.current == name)


def _tell_of(name: str, made: stored.Context, output: Output, messages: Output, *, is_current: bool) -> None:
    output.line(f"{name}: {made.place}{', in use' if is_current else ''}")
    if not is_current:
        messages.line(f"for one command: --context {name}; from now on: swimctl context use {name}")


def _home_context(invocation: Invocation, home: Path) -> stored.Context:
    from swim_server.daemon.home import expand_user

    config = None if invocation.config_path is None else str(invocation.config_path.expanduser().absolute())
    return stored.Context(home=str(expand_user(str(home)).absolute()), config=config)


def _address(invocation: Invocation, name: str, url: str, key_store: KeyStore) -> stored.Context:
    from urllib.parse import urlsplit

    from swimctl.client.connect import split_urls
    from swimctl.commands.keys.query import read_key_from_input

    for one in split_urls(url):
        parts = urlsplit(one)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise WrongUsage(
                f"--url: {one!r} is not a ws:// or wss:// address", "like wss://swim.example.org/api/swim/v1/ws"
            )
        if parts.username or parts.password or "key=" in parts.query.lower():
            raise WrongUsage("--url: an address must not contain a key", "set SWIM_API_KEY instead")
    api_key = invocation.environ.get("SWIM_API_KEY") or read_key_from_input()
    if not api_key:
        raise WrongUsage("no key was given", "set SWIM_API_KEY, or pass it on standard input")
    in_keyring = None if key_store is KeyStore.AUTO else key_store is KeyStore.KEYRING
    return stored.keep_key(name, stored.Context(url=url), api_key, in_keyring=in_keyring)


@app.command()
def use(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", autocompletion=context_names, help="Context to use."),
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Use no context: SWIM_HOME or this user's home applies again.")
    ] = False,
) -> None:
    """Choose the context that commands use from now on.

    --context, SWIM_CONTEXT and SWIM_HOME take precedence over it.

    \b
    Examples:
      swimctl context use staging
      swimctl context use --none
    """
    invocation = invocation_of(context)
    found = stored.load(invocation.environ)
    if (name is None) != none:
        raise WrongUsage("context use takes NAME or --none", "see: swimctl context list")
    output = invocation.output()
    if name is not None:
        found.named(name)
    found.current = name
    stored.save(found, invocation.environ)
    output.line("no context is in use" if name is None else f"{name}: {found.contexts[name].place}")
    for variable in (stored.VARIABLE, "SWIM_HOME"):
        if invocation.environ.get(variable):
            invocation.messages().line(f"{variable} is set in this shell and takes precedence")


@app.command("list")
def list_contexts(
    context: typer.Context, as_json: Json = False, header: Header = False, piped: Piped = PipedFormat.V2
) -> None:
    """List the contexts. Keys are never shown.

    \b
    Examples:
      swimctl context list
      swimctl context list --json
    """
    from swimctl.table import Column

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    found = stored.load(invocation.environ)
    rows = [_row(name, each, found.current) for name, each in sorted(found.contexts.items())]
    columns = [
        Column("name", "context", style="cyan"), Column("place", "home or address", is_flexible=True),
        Column("key", "key"), Column("in_use", "in use"),
    ]  # fmt: skip
    output.table(columns, rows, empty="no contexts; create one with: swimctl context add")


def _row(name: str, context: stored.Context, current: str | None) -> dict[str, Any]:
    kept = "keyring" if context.is_key_in_keyring else "file" if context.api_key else None
    return {
        "name": name, "place": context.place, "home": context.home, "url": context.url, "config": context.config,
        "key": kept, "in_use": name == current,
    }  # fmt: skip


@app.command()
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=context_names, help="The context.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a context, and its key from the keyring. The service itself is not affected.

    \b
    Examples:
      swimctl context remove staging
    """
    from swimctl.output import require_yes

    invocation = invocation_of(context)
    found = stored.load(invocation.environ)
    if name not in found.contexts:
        raise NotFound(f"there is no context {name!r}", "see: swimctl context list")
    output = invocation.output()
    if found.contexts[name].url is not None:
        require_yes(f"The key of {name} is deleted with it. Remove it?", yes=yes)
    stored.forget_key(name, found.contexts.pop(name))
    if found.current == name:
        found.current = None
    stored.save(found, invocation.environ)
    output.line(f"{name} is removed")
