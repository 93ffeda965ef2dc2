"""Builds the sources that the configuration names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from swim_server.config import (
    FileSourceConfig,
    RecordingSourceConfig,
    SimulatorSourceConfig,
    SourceConfig,
)
from swim_server.daemon.home import Home
from swim_server.protocol.channels import Catalogue
from swim_server.sources.source import Source


def build_sources(configs: Sequence[SourceConfig], home: Home, catalogue: Catalogue) -> list[Source]:
    """One source for each configuration, each with a name of its own."""
    names: set[str] = set()
    sources: list[Source] = []
    for config in configs:
        kind = str(config.__struct_config__.tag)
        name = _unused(config.name or kind, names)
        names.add(name)
        sources.append(_build(config, name, home, catalogue))
    return sources


def _unused(name: str, names: set[str]) -> str:
    number, candidate = 1, name
    while candidate in names:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _build(config: SourceConfig, name: str, home: Home, catalogue: Catalogue) -> Source:
    match config:
        case FileSourceConfig():
            from swim_server.sources.event_file import EventFileSource

            return EventFileSource(
                name, Path(config.path), interval_seconds=config.interval_seconds, catalogue=catalogue
            )
        case RecordingSourceConfig():
            from swim_server.sources.recording import RecordingSource

            folder = Path(config.path)
            return RecordingSource(
                name,
                folder,
                speed=config.speed,
                loop=config.loop,
                state_path=home.sources / f"recording-{_digest(str(folder))}.json",
            )
        case SimulatorSourceConfig():
            from swim_server.sources.simulator import SimulatorSource

            return SimulatorSource(name, flights=config.flights, speed=config.speed, seed=config.seed)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
