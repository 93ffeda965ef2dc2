"""Loads the effective configuration: options over environment over ``swim.local.toml`` over file over defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from swim_server.config.check import check, configuration_type, convert, nearest
from swim_server.config.errors import ConfigError, Origin, Problem
from swim_server.config.files import find_files, read_file
from swim_server.config.layers import Layers, dotted
from swim_server.config.paths import make_absolute
from swim_server.config.settings import Config
from swim_server.config.written import read_text, setting_type
from swim_server.protocol.channels import Catalogue, InvalidFamily

_OPTIONS = {"sources": "--source", "logging.level": "--debug"}
"""Options that aren't called like the last part of their setting."""


class LoadedConfig(msgspec.Struct, frozen=True):
    """The effective configuration, and how it came about."""

    config: Config
    origins: dict[str, Origin]
    """By dotted name, for each single value: ``server.port``, ``sources[0].path``."""
    files: tuple[Path, ...]
    """What was read, absolute, in the order in which it was laid over the defaults."""


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
    files = [read_file(found) for found in find_files(path, environ)]
    layers = Layers(msgspec.to_builtins(Config()))
    for file in files:
        layers.lay(file.values, file.origin)
    problems = list(_lay_environment(layers, environ))
    _lay_options(layers, overrides or {})
    problems += [
        Problem(dotted(at), rule, layers.origin(at)) for at, rule in check(layers.values, configuration_type())
    ]
    if not problems:
        problems = list(_check_together(layers))
    if problems:
        raise ConfigError(problems)
    _complete(layers, {str(found): file.path.parent for file, found in zip(files, find_files(path, environ), strict=True)}, home)
    return LoadedConfig(convert(layers.values), _leaf_origins(layers), tuple(file.path for file in files))
