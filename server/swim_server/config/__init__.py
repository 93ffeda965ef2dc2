"""The configuration: typed settings, and how they are read from files, environment and options.

A name's module is imported when the name is first used, so that commands without a configuration don't pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swim_server.config.database_settings import (
        AdlConfig,
        AdlDatabaseConfig,
        DatabaseConfig,
        FlightCoreNames,
        FlightPlanNames,
        FlightPositionNames,
        FlightTimesNames,
        ProgramNames,
    )
    from swim_server.config.durations import InvalidDuration, parse_duration
    from swim_server.config.errors import ConfigError, Origin, Problem
    from swim_server.config.loading import LoadedConfig, load
    from swim_server.config.setting_types import Count, Duration, Port
    from swim_server.config.settings import (
        AuthConfig,
        BrokerConfig,
        ChannelsConfig,
        ClusterConfig,
        Config,
        DetectionConfig,
        ExpectConfig,
        ExpectConnectionsConfig,
        ExpectedCount,
        HistoryConfig,
        LoggingConfig,
        PagesConfig,
        PublishConfig,
        PublishKeyConfig,
        ServerConfig,
        StateConfig,
        TierConfig,
        TiersConfig,
    )
    from swim_server.config.source_option import parse_source, parse_sources
    from swim_server.config.source_settings import (
        AdlSourceConfig,
        DropSourceConfig,
        EcfmpSourceConfig,
        FileSourceConfig,
        RecordingSourceConfig,
        SimulatorSourceConfig,
        SourceConfig,
        VatsimSourceConfig,
    )

__all__ = [
    "AdlConfig",
    "AdlDatabaseConfig",
    "AdlSourceConfig",
    "AuthConfig",
    "BrokerConfig",
    "ChannelsConfig",
    "ClusterConfig",
    "Config",
    "ConfigError",
    "Count",
    "DatabaseConfig",
    "DetectionConfig",
    "DropSourceConfig",
    "Duration",
    "EcfmpSourceConfig",
    "ExpectConfig",
    "ExpectConnectionsConfig",
    "ExpectedCount",
    "FileSourceConfig",
    "FlightCoreNames",
    "FlightPlanNames",
    "FlightPositionNames",
    "FlightTimesNames",
    "HistoryConfig",
    "InvalidDuration",
    "LoadedConfig",
    "LoggingConfig",
    "Origin",
    "PagesConfig",
    "Port",
    "Problem",
    "ProgramNames",
    "PublishConfig",
    "PublishKeyConfig",
    "RecordingSourceConfig",
    "ServerConfig",
    "SimulatorSourceConfig",
    "SourceConfig",
    "StateConfig",
    "TierConfig",
    "TiersConfig",
    "VatsimSourceConfig",
    "load",
    "parse_duration",
    "parse_source",
    "parse_sources",
]

_MODULES = {
    "database_settings": (
        "AdlConfig",
        "AdlDatabaseConfig",
        "DatabaseConfig",
        "FlightCoreNames",
        "FlightPlanNames",
        "FlightPositionNames",
        "FlightTimesNames",
        "ProgramNames",
    ),
    "durations": (
        "InvalidDuration",
        "parse_duration",
    ),
    "errors": (
        "ConfigError",
        "Origin",
        "Problem",
    ),
    "loading": (
        "LoadedConfig",
        "load",
    ),
    "setting_types": (
        "Count",
        "Duration",
        "Port",
    ),
    "settings": (
        "AuthConfig",
        "BrokerConfig",
        "ChannelsConfig",
        "ClusterConfig",
        "Config",
        "DetectionConfig",
        "ExpectConfig",
        "ExpectConnectionsConfig",
        "ExpectedCount",
        "HistoryConfig",
        "LoggingConfig",
        "PagesConfig",
        "PublishConfig",
        "PublishKeyConfig",
        "ServerConfig",
        "StateConfig",
        "TierConfig",
        "TiersConfig",
    ),
    "source_option": (
        "parse_source",
        "parse_sources",
    ),
    "source_settings": (
        "AdlSourceConfig",
        "DropSourceConfig",
        "EcfmpSourceConfig",
        "FileSourceConfig",
        "RecordingSourceConfig",
        "SimulatorSourceConfig",
        "SourceConfig",
        "VatsimSourceConfig",
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = found
    return found
