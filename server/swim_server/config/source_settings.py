"""Settings of sources: one struct for each kind."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Annotated

import msgspec
from msgspec import Meta

from swim_server.config.setting_types import FeedUrl, FilePath, SourceName


class FileSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="file"):
    """The provider's event file."""

    name: SourceName | None = None
    path: FilePath
    interval_seconds: Annotated[float, Meta(gt=0)] = 0.1
    """Polling interval where file system notification is unavailable."""


class RecordingSourceConfig(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="recording"
):
    """A file of events as ``swimctl record`` writes it, or a folder of feed snapshots, ``*.json`` or ``*.json.gz``."""

    name: SourceName | None = None
    path: FilePath
    speed: Annotated[float, Meta(gt=0)] = 1
    loop: bool = True
    start: Annotated[str, Meta(extra={"rule": "seek"})] | None = None
    """Where to start: an event id, a time, or a duration from the beginning."""


class SimulatorSourceConfig(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="simulator"
):
    """Endless simulated traffic between real airports."""

    name: SourceName | None = None
    flights: Annotated[int, Meta(ge=1, le=20_000)] = 300
    speed: Annotated[float, Meta(gt=0)] = 30
    """How many times faster than real time."""
    seed: int = 1


class DropSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="drop"):
    """A folder into which providers move files of JSON lines."""

    name: SourceName | None = None
    path: FilePath
    interval_seconds: Annotated[float, Meta(gt=0)] = 0.5
    """Polling interval where file system notification is unavailable."""


class VatsimSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="vatsim"):
    """The VATSIM data feed, version 3."""

    name: SourceName | None = None
    url: FeedUrl = "https://data.vatsim.net/v3/vatsim-data.json"
    interval_seconds: Annotated[float, Meta(gt=0)] = 15
    """The feed's own update interval, and the polling interval; less than 15 only for a feed on this machine."""


class EcfmpSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="ecfmp"):
    """Flow measures of the European Collaboration and Flow Management Project."""

    name: SourceName | None = None
    url: FeedUrl = "https://ecfmp.vatsim.net/api/v1/flow-measure?deleted=1"
    interval_seconds: Annotated[float, Meta(gt=0)] = 60
    """Less than 60 only for a server on this machine."""


class AdlSourceConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="adl"):
    """Flights and traffic management initiatives from SQL tables."""

    name: SourceName | None = None
    database: SourceName
    """Which ``[adl.NAME]``."""
    interval_seconds: Annotated[float, Meta(gt=0)] = 15
    """How often the tables are updated, and read."""


SourceConfig = (
    FileSourceConfig
    | DropSourceConfig
    | RecordingSourceConfig
    | SimulatorSourceConfig
    | VatsimSourceConfig
    | EcfmpSourceConfig
    | AdlSourceConfig
)
