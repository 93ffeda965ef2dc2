"""Builds the sources that the configuration names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from swim_server.config import (
    AdlConfig,
    AdlSourceConfig,
    Config,
    DropSourceConfig,
    EcfmpSourceConfig,
    FileSourceConfig,
    RecordingSourceConfig,
    SimulatorSourceConfig,
    SourceConfig,
    VatsimSourceConfig,
)
from swim_server.daemon.home import Home
from swim_server.detection.regions import Regions
from swim_server.protocol.channels import Catalogue
from swim_server.sources.source import Source


def build_sources(config: Config, home: Home, catalogue: Catalogue) -> list[Source]:
    """Build the sources of ``[[sources]]``, each with a unique name."""
    from swim_server.sources.boundaries import BoundariesFile

    boundaries = config.detection.boundaries
    building = _Building(config, home, catalogue, BoundariesFile(None if boundaries is None else Path(boundaries)))
    names: set[str] = set()
    sources: list[Source] = []
    for source in config.sources:
        name = _unused(source.name or str(source.__struct_config__.tag), names)
        names.add(name)
        sources.append(building.build(source, name))
    return sources


class _Building:
    """What sources are built from."""

    def __init__(self, config: Config, home: Home, catalogue: Catalogue, regions: Regions) -> None:
        self._config = config
        self._home = home
        self._catalogue = catalogue
        self._regions = regions

    def build(self, source: SourceConfig, name: str) -> Source:
        """Build one source. Nothing is opened or read yet."""
        match source:
            case FileSourceConfig() | DropSourceConfig():
                return self._files(source, name)
            case RecordingSourceConfig() | SimulatorSourceConfig():
                return self._traffic(source, name)
            case VatsimSourceConfig() | EcfmpSourceConfig():
                return self._feed(source, name)
            case AdlSourceConfig():
                from swim_server.sources.adl.source import AdlSource

                return AdlSource(
                    name,
                    database=source.database,
                    names=self._config.adl.get(source.database, AdlConfig()),
                    interval_seconds=source.interval_seconds,
                    state_folder=self._home.sources,
                )

    def _files(self, source: FileSourceConfig | DropSourceConfig, name: str) -> Source:
        if isinstance(source, FileSourceConfig):
            from swim_server.sources.event_file.source import EventFileSource

            return EventFileSource(
                name,
                Path(source.path),
                interval_seconds=source.interval_seconds,
                catalogue=self._catalogue,
                state_path=self._state_path("file", source.path),
            )
        from swim_server.sources.drop.source import DropSource

        return DropSource(
            name,
            Path(source.path),
            interval_seconds=source.interval_seconds,
            catalogue=self._catalogue,
            state_path=self._state_path("drop", source.path),
        )

    def _traffic(self, source: RecordingSourceConfig | SimulatorSourceConfig, name: str) -> Source:
        if isinstance(source, SimulatorSourceConfig):
            from swim_server.sources.simulator.source import SimulatorSource

            return SimulatorSource(
                name,
                flights=source.flights,
                speed=source.speed,
                seed=source.seed,
                state_path=self._state_path("simulator", name),
            )
        from swim_server.sources.recording.any_recording import AnyRecordingSource

        return AnyRecordingSource(
            name,
            Path(source.path),
            catalogue=self._catalogue,
            speed=source.speed,
            loop=source.loop,
            start=source.start,
            state_path=self._state_path("recording", f"{name} {Path(source.path)}"),
            regions=self._regions,
        )

    def _feed(self, source: VatsimSourceConfig | EcfmpSourceConfig, name: str) -> Source:
        kind = str(source.__struct_config__.tag)
        state_path = self._state_path(kind, f"{name} {source.url}")
        if isinstance(source, EcfmpSourceConfig):
            from swim_server.sources.feeds.ecfmp import EcfmpSource

            return EcfmpSource(name, url=source.url, interval_seconds=source.interval_seconds, state_path=state_path)
        from swim_server.sources.feeds.vatsim import VatsimSource

        return VatsimSource(
            name,
            url=source.url,
            interval_seconds=source.interval_seconds,
            state_path=state_path,
            regions=self._regions,
        )

    def _state_path(self, kind: str, input: str) -> Path:
        """Return where a source keeps what it must know after a restart."""
        return self._home.sources / f"{state_name(kind, input)}.json"


def state_name(kind: str, input: str) -> str:
    """Return the prefix of a source's state files, which differs for each input."""
    return f"{kind}-{hashlib.sha256(input.encode()).hexdigest()[:12]}"


def _unused(name: str, names: set[str]) -> str:
    number, candidate = 1, name
    while candidate in names:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
