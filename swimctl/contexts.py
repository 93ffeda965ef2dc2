"""Contexts: names for services, each a home on this machine or an address with its key.

They are stored in ``contexts.toml`` in the user's configuration folder, mode 0600. A key is stored in the system's
keyring if the package ``keyring`` finds one, else in that file; it is never shown.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from swimctl.errors import CommandFailed, NotFound, WrongUsage

FILE_NAME = "contexts.toml"
VARIABLE = "SWIM_CONTEXT"
SERVICE = "swimctl"
"""Service name of our keys in the keyring; the user name is the context's name and address."""


class Context(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One service: ``home`` or ``url``, never both."""

    home: str | None = None
    config: str | None = None
    """The configuration file of a home."""
    url: str | None = None
    api_key: str | None = None
    """The key for an address, unless it is in the keyring."""
    is_key_in_keyring: bool = msgspec.field(default=False, name="key_in_keyring")

    @property
    def place(self) -> str:
        """The home or address, for display."""
        return str(self.url or self.home)


class Contexts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All of a user's contexts."""

    current: str | None = None
    contexts: dict[str, Context] = {}

    def named(self, name: str) -> Context:
        """Return a context by name. Raises NotFound, listing those that exist."""
        found = self.contexts.get(name)
        if found is None:
            known = ", ".join(sorted(self.contexts)) or "none; create one with: swimctl context add"
            raise NotFound(f"there is no context {name!r}", f"those that exist: {known}")
        return found


def contexts_file(environ: Mapping[str, str]) -> Path | None:
    """Return the path of a user's contexts; None for a user without a home folder."""
    from swim_server.config.files import user_folder

    folder = user_folder(environ)
    return None if folder is None else folder / FILE_NAME


def load(environ: Mapping[str, str]) -> Contexts:
    """Read the contexts; empty if there is no file. Raises WrongUsage if the file can't be used."""
    path = contexts_file(environ)
    if path is None:
        return Contexts()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Contexts()
    except OSError as error:
        raise _unusable(path, error) from None
    import tomllib

    try:
        with file:
            mode, values = os.fstat(file.fileno()).st_mode, tomllib.load(file)
        found = msgspec.convert(values, Contexts)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _unusable(path, error) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077 and any(each.api_key for each in found.contexts.values()):
        raise WrongUsage(f"{path} holds keys and is accessible to other users", f"chmod 600 {path}")
    return found


def _unusable(path: Path, error: Exception) -> WrongUsage:
    return WrongUsage(f"{path} can't be used: {error}", "correct it, or remove it and add the contexts again")


def save(found: Contexts, environ: Mapping[str, str]) -> Path:
    """Write the contexts durably, readable only by their owner. Raises CommandFailed."""
    import tomli_w
    from swim_server.files.replacing import replace_durably

    path = contexts_file(environ)
    if path is None:
        raise CommandFailed("this user has no home to keep contexts in", "set HOME or XDG_CONFIG_HOME")
    values = {name: value for name, value in msgspec.to_builtins(found).items() if value is not None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, tomli_w.dumps(values).encode(), mode=0o600, follows_link=True)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise CommandFailed(f"{path} can't be written: {error.strerror or error}") from None
    return path


def chosen(named: str | None, environ: Mapping[str, str]) -> tuple[str, Context] | None:
    """Return the context in force: the named one, else that of SWIM_CONTEXT, else, without SWIM_HOME, the current one.

    Raises NotFound, WrongUsage.
    """
    name = named or environ.get(VARIABLE)
    if name:
        return name, load(environ).named(name)
    if environ.get("SWIM_HOME"):
        return None
    found = load(environ)
    return None if found.current is None else (found.current, found.named(found.current))


def key_of(name: str, context: Context) -> str | None:
    """Return the key of an address. Raises CommandFailed if the keyring does not provide it."""
    if not context.is_key_in_keyring:
        return context.api_key
    found = _ask_keyring(name, lambda keyring: keyring.get_password(SERVICE, _account(name, context)))
    if not found:
        raise CommandFailed(
            f"the keyring has no key for the context {name}", f"swimctl context remove {name}, and add it again"
        )
    return str(found)


def keep_key(name: str, context: Context, api_key: str, *, in_keyring: bool | None) -> Context:
    """Store the key and return the context: in the keyring, in the file, or (None) in the keyring if there is one."""
    if in_keyring is not False and (in_keyring or has_keyring()):
        _ask_keyring(name, lambda keyring: keyring.set_password(SERVICE, _account(name, context), api_key))
        return msgspec.structs.replace(context, is_key_in_keyring=True)
    return msgspec.structs.replace(context, api_key=api_key)


def forget_key(name: str, context: Context) -> None:
    """Remove a context's key from the keyring. Raises CommandFailed."""
    if context.is_key_in_keyring:
        _ask_keyring(name, lambda keyring: keyring.delete_password(SERVICE, _account(name, context)))


def has_keyring() -> bool:
    """Return True if the package ``keyring`` is installed and has found a system keyring."""
    try:
        import keyring
    except ImportError:
        return False
    return bool(keyring.get_keyring().priority >= 1)


def _account(name: str, context: Context) -> str:
    return f"{name} {context.url}"


def _ask_keyring(name: str, ask: Callable[[Any], Any]) -> Any:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise CommandFailed(
            f"the key of the context {name} is kept in the keyring, but the package keyring is not installed",
            "pip install keyring, or keep it in a file with --key-store file",
        ) from None
    try:
        return ask(keyring)
    except KeyringError as error:
        raise CommandFailed(f"the keyring refuses the key of the context {name}: {error}", "is it unlocked?") from None
