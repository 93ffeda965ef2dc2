"""The configuration: typed settings, and how files, environment and options become them.

A name's module is imported when the name is first used: commands that read no configuration do not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swim_server.config.durations import InvalidDuration, parse_duration
    from swim_server.config.errors import ConfigError, Origin, Problem
    from swim_server.config.loading import LoadedConfig, load
    from swim_server.config.settings import (
        AdlConfig,
        AdlDatabaseConfig,
        AdlSourceConfig,
        AuthConfig,
        BrokerConfig,
        ChannelsConfig,
        Config,
        Count,
        DatabaseConfig,
        DetectionConfig,
        DropSourceConfig,
        Duration,
        EcfmpSourceConfig,
        ExpectConfig,
        ExpectConnectionsConfig,
        ExpectedCount,
        FileSourceConfig,
        FlightCoreNames,
        FlightPlanNames,
        FlightPositionNames,
        FlightTimesNames,
        HistoryConfig,
        LoggingConfig,
        Port,
        ProgramNames,
        PublishConfig,
        PublishKeyConfig,
        RecordingSourceConfig,
        ServerConfig,
        SimulatorSourceConfig,
        SourceConfig,
        StateConfig,
        TierConfig,
        TiersConfig,
        VatsimSourceConfig,
    )
    from swim_server.config.source_option import parse_source, parse_sources

__all__ = [
    "AdlConfig",
    "AdlDatabaseConfig",
    "AdlSourceConfig",
    "AuthConfig",
    "BrokerConfig",
    "ChannelsConfig",
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

_ELSEWHERE = {
    "InvalidDuration": "durations",
    "parse_duration": "durations",
    "ConfigError": "errors",
    "Origin": "errors",
    "Problem": "errors",
    "LoadedConfig": "loading",
    "load": "loading",
    "parse_source": "source_option",
    "parse_sources": "source_option",
}
"""Modules of the names that are not in ``settings``."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'settings')}"), name)
    globals()[name] = found
    return found
