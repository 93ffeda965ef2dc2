"""Loads the effective configuration: options over environment over ``swim.local.toml`` over file over defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from swim_server.config.annotated_values import At, annotated_values
from swim_server.config.check import check, configuration_type, convert, nearest
from swim_server.config.errors import ConfigError, Origin, Problem
from swim_server.config.files import ConfigFile, expand_user, find_files, read_file
from swim_server.config.layers import Layers, always, dotted
from swim_server.config.parse_value import parse_value, setting_names, setting_type
from swim_server.config.settings import Config
from swim_server.protocol.channels import Catalogue, InvalidChannel, InvalidFamily

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", re.DOTALL)


def make_absolute(values: dict[str, Any], folder_of: Callable[[At], Path]) -> None:
    """Make every path absolute, in place, relative to the folder of its origin; ``~`` is the user's home."""
    for path, rule, holder, key in annotated_values(values):
        if rule == "path":
            holder[key] = _absolute(holder[key], folder_of(path))
        elif rule in ("database_url", "tables_database_url") and (match := _SQLITE.fullmatch(holder[key])) is not None:
            holder[key] = match[1] + _absolute(match[2], folder_of(path)) + match[3]


def _working_folder() -> Path:
    """Return the folder for relative paths in the environment and in options. Raises ConfigError if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        rule = "it was removed, and relative paths need it: write absolute paths"
        raise ConfigError([Problem("the working directory of this process", rule)]) from None


def _absolute(text: str, folder: Path) -> str:
    return str(folder / expand_user(Path(text)))


_PREFIX, _SEPARATOR = "SWIM_", "__"
POLITE_SECONDS = {"vatsim": 15, "ecfmp": 60}
"""Minimum polling interval for servers on other machines."""
_OPTIONS = {"sources": "--source", "logging.level": "--debug"}
"""Options whose name is not the last part of their setting."""


class LoadedConfig(msgspec.Struct, frozen=True):
    """The effective configuration, and where it came from."""

    config: Config
    origins: dict[str, Origin]
    """By dotted name, for each single value: ``server.port``, ``sources[0].path``."""
    files: tuple[Path, ...]
    """The files that were read, absolute, in the order in which they were merged."""


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    home: Path,
) -> LoadedConfig:
    """Load the configuration. ``overrides`` are the options, by dotted name (``server.port``, ``sources``).

    Blocks on files. Relative paths become absolute: those in a file count from its folder, others from the working
    directory. Without a database setting the database is in ``home``. Raises ConfigError with everything wrong.
    """
    return merge_layers([read_file(found) for found in find_files(path, environ)], environ, overrides or {}, home)


def merge_layers(
    files: Sequence[ConfigFile], environ: Mapping[str, str], overrides: Mapping[str, object], home: Path
) -> LoadedConfig:
    """Do the work of ``load`` with files that have been read."""
    layers = Layers(msgspec.to_builtins(Config()))
    for file in files:
        layers.merge(file.values, file.origin)
    problems = list(_lay_environment(layers, environ))
    for name, value in overrides.items():
        if value is not None:
            origin = Origin("option", _OPTIONS.get(name, f"--{name.rpartition('.')[2]}"))
            layers.merge(_nest(name.split("."), msgspec.to_builtins(value)), always(origin))
    for at, rule in check(layers.values, configuration_type()):
        problems.append(Problem(dotted(at), rule, layers.origin(at)))
    problems = problems or list(_check_together(layers))
    if problems:
        raise ConfigError(problems)
    _complete(layers, files, home)
    return LoadedConfig(
        convert(layers.values), dict(_leaves(layers, layers.values, ())), tuple(file.path for file in files)
    )


def _lay_environment(layers: Layers, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Merge ``SWIM_<SECTION>__<KEY>`` over the values; report variables that name no setting."""
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or _SEPARATOR not in variable:
            continue
        parts = tuple(variable.removeprefix(_PREFIX).lower().split(_SEPARATOR))
        kind = setting_type(parts, configuration_type())
        if kind is None:
            near = nearest(".".join(parts), setting_names())
            hint = f", did you mean {variable_of(near)}?" if near else "; all of them: swimctl config show"
            yield Problem(variable, f"there is no setting {'.'.join(parts)}{hint}")
        else:
            value = parse_value(environ[variable], kind)
            layers.merge(_nest(parts, value), always(Origin("environment", variable)))


def variable_of(setting: str) -> str:
    """Return the environment variable that overrides a setting."""
    return _PREFIX + setting.replace(".", _SEPARATOR).upper()


def _nest(parts: Sequence[str], value: Any) -> dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def _check_together(layers: Layers) -> Iterator[Problem]:
    """Yield violations of rules between settings. Called only if each setting is valid by itself."""
    values = layers.values
    if values["database"]["url"] and values["database"]["odbc"]:
        yield _problem(layers, "either url or odbc may be set, not both", "database", "odbc")
    try:
        Catalogue(values["channels"]["families"])
    except InvalidFamily as error:
        yield _problem(layers, str(error).partition(": ")[2], "channels", "families", error.family)
    yield from _check_publishing(layers)
    yield from _check_state(layers)
    seen: set[str] = set()
    for index, source in enumerate(values["sources"]):
        yield from _check_source(layers, index, source)
        name = source.get("name")
        if name in seen:
            rule = f"must differ from the other sources' names, got {name!r} again"
            yield _problem(layers, rule, "sources", index, "name")
        seen |= {name} if name else set()


def _check_source(layers: Layers, index: int, source: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield violations of rules between a source and the rest."""
    values, polite = layers.values, POLITE_SECONDS.get(source["kind"], 0)
    url, seconds = source.get("url"), source.get("interval_seconds")
    if seconds is not None and seconds < polite and not (url and is_local_url(url)):
        rule = f"must be {polite} or more for a server on another machine, got {seconds:g}"
        yield _problem(layers, rule, "sources", index, "interval_seconds")
    if source["kind"] != "adl":
        return
    name = source["database"]
    adl = values["adl"].get(name)
    if adl is None:
        near = nearest(name, list(values["adl"]))
        hint = f", did you mean {near}?" if near else f": [adl.{name}.flights] says where the tables are"
        yield _problem(layers, f"there is no [adl.{name}]{hint}", "sources", index, "database")
        return
    connections = [adl.get(part) or {} for part in ("flights", "tmis")]
    for part, connection in zip(("flights", "tmis"), connections, strict=True):
        if connection.get("url") and connection.get("odbc"):
            yield _problem(layers, "either url or odbc may be set, not both", "adl", name, part, "odbc")
    if not any(connection.get("url") or connection.get("odbc") for connection in connections):
        rule = f"neither [adl.{name}.flights] nor [adl.{name}.tmis] has a url or odbc"
        yield _problem(layers, rule, "adl", name)


def _check_publishing(layers: Layers) -> Iterator[Problem]:
    """Check that the channels that keys may publish exist."""
    try:
        catalogue = Catalogue(layers.values["channels"]["families"])
    except InvalidFamily:
        return
    for key_id, key in layers.values["publish"]["keys"].items():
        if not key_id.isascii() or not key_id.isdecimal():
            yield _problem(layers, "must be the id of a key, a number", "publish", "keys", key_id)
        for index, channel in enumerate(key.get("channels") or ()):
            try:
                catalogue.check(channel)
            except InvalidChannel as error:
                yield _problem(layers, str(error), "publish", "keys", key_id, "channels", index)


def _check_state(layers: Layers) -> Iterator[Problem]:
    """Check that the events that form kinds of entries exist."""
    try:
        families = Catalogue(layers.values["channels"]["families"]).families
    except InvalidFamily:
        return
    for name, kind in layers.values["state"]["kinds"].items():
        if kind["family"] not in families:
            near = nearest(kind["family"], list(families))
            hint = f", did you mean {near}?" if near else ": declare it in [channels.families]"
            yield _problem(layers, f"there is no family {kind['family']!r}{hint}", "state", "kinds", name, "family")


def is_local_url(url: str) -> bool:
    """Tell whether an address is on this machine: a test's server, a cache."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(layers: Layers, rule: str, *at: str | int) -> Problem:
    return Problem(dotted(at), rule, layers.origin(at))


def _complete(layers: Layers, files: Sequence[ConfigFile], home: Path) -> None:
    """Fill in what follows from other settings: absolute paths, the sources' names, the database in the home."""
    values = layers.values
    folders = {file.name: file.path.parent for file in files}
    make_absolute(values, lambda at: folders.get(layers.origin(at).name) or _working_folder())
    if not values["database"]["url"] and not values["database"]["odbc"]:
        values["database"]["url"] = f"sqlite:///{home.absolute() / 'swim.db'}"
    for section in ("keep", "keep_positions"):
        values["history"][section] = _with_unit(values["history"][section])
    taken = {source.get("name") for source in values["sources"]}
    for source in values["sources"]:
        if not source.get("name"):
            source["name"] = next(name for name in _names(source["kind"]) if name not in taken)
            taken.add(source["name"])


def _with_unit(length: str | float) -> str:
    return length if isinstance(length, str) else f"{length}s"


def _names(kind: str) -> Iterator[str]:
    yield kind
    number = 2
    while True:
        yield f"{kind}-{number}"
        number += 1


def _leaves(layers: Layers, value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, Origin]]:
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = enumerate(value)
    for key, item in items:
        here = (*path, key)
        if isinstance(item, dict) or (isinstance(item, list) and any(isinstance(one, dict) for one in item)):
            yield from _leaves(layers, item, here)
        else:
            yield dotted(here), layers.origin(here)
