"""Configuration files: where they are searched, and what they contain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from swim_server.config.errors import ConfigError, Origin, Problem
from swim_server.config.toml_lines import lines_of

FILE_NAME = "swim.toml"
LOCAL_NAME = "swim.local.toml"
SYSTEM_FOLDER = Path("/etc/swim")


class ConfigFile(NamedTuple):
    """One file that was read."""

    name: str
    """As it was named or found: ``config/swim.toml``."""
    path: Path
    """Absolute."""
    values: dict[str, Any]
    origin: Callable[[tuple[str | int, ...]], Origin]
    """Returns name and line of a value in it."""


def find_files(named: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """Return the file to read and ``swim.local.toml`` beside it, in the order in which they are merged.

    ``--config`` or SWIM_CONFIG name a file that must exist. Otherwise the first folder that contains one of the two:
    ``./config``, the user's, ``/etc/swim``. If there is none: no files, all defaults.
    """
    if named is None and environ.get("SWIM_CONFIG"):
        named = Path(environ["SWIM_CONFIG"])
    if named is not None:
        named = expand_user(named)
        local = named.parent / LOCAL_NAME
        return [named, local] if local.name != named.name and local.exists() else [named]
    for folder in search_folders(environ):
        found = [path for name in (FILE_NAME, LOCAL_NAME) if _stands(path := folder / name)]
        if found:
            return found
    return []


def search_folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders that are searched if no file is named."""
    users = user_folder(environ)
    return (Path("config"), *([] if users is None else [users]), SYSTEM_FOLDER)


def user_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the user's own folder for configuration; None for a user without a home."""
    if environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"]) / "swim"
    from platformdirs import user_config_path

    try:
        found = user_config_path("swim")
    except (RuntimeError, KeyError):  # neither HOME nor an entry in the user database
        return None
    return found if found.is_absolute() else None


def expand_user(path: Path) -> Path:
    """Expand a ``~`` at the beginning. Raises ConfigError if there is no such home."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise _unusable(path, "~ can't be resolved; write the full path") from None


def read_file(path: Path) -> ConfigFile:
    """Read one file. Raises ConfigError, with the line for invalid TOML."""
    import tomllib  # without a file, tomllib is not needed

    try:
        text = path.read_bytes().decode("utf-8-sig")
        values = tomllib.loads(text)
    except FileNotFoundError:
        raise _unusable(path, "there is no such file; create one with swimctl config init") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _unusable(path, f"not UTF-8 text: byte {error.object[error.start]:#04x}", line) from None
    except tomllib.TOMLDecodeError as error:
        reason, at_line = _syntax(str(error), text)
        raise _unusable(path, f"not TOML: {reason}", at_line) from None
    except RecursionError:
        raise _unusable(path, "not usable: nested too deeply") from None
    except OSError as error:
        raise _unusable(path, f"can't be read: {error.strerror or error}") from None
    lines = lines_of(text)
    return ConfigFile(str(path), path.absolute(), values, lambda at: Origin("file", str(path), _line(lines, at)))


def _stands(path: Path) -> bool:
    """Tell whether a file of this name exists: an unreadable one must be reported, not skipped."""
    try:
        return path.exists()
    except OSError:
        return True


def _line(lines: Mapping[tuple[str | int, ...], int], at: tuple[str | int, ...]) -> int | None:
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at)


def _syntax(message: str, text: str) -> tuple[str, int | None]:
    """Split ``tomllib``'s message: "Invalid value (at line 3, column 5)", "… (at end of document)"."""
    reason, _, place = message.rpartition(" (at ")
    if place.startswith("line "):
        return reason, int(place.removeprefix("line ").partition(",")[0])
    if place.startswith("end of document"):
        return reason, text.count("\n") + 1
    return message, None


def _unusable(path: Path, rule: str, line: int | None = None) -> ConfigError:
    where = str(path) if line is None else f"{path}, line {line}"
    return ConfigError([Problem(where, rule)])
