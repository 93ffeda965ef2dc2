"""The configuration: typed settings, and how files, environment and options become them."""

from swim_server.config.durations import InvalidDuration, parse_duration
from swim_server.config.errors import ConfigError, Origin, Problem
from swim_server.config.load import LoadedConfig, load
from swim_server.config.settings import (
    AuthConfig,
    BrokerConfig,
    ChannelsConfig,
    Config,
    Count,
    DatabaseConfig,
    Duration,
    ExpectConfig,
    ExpectConnectionsConfig,
    ExpectedCount,
    FileSourceConfig,
    HistoryConfig,
    LoggingConfig,
    Port,
    RecordingSourceConfig,
    ServerConfig,
    SimulatorSourceConfig,
    SourceConfig,
    TierConfig,
    TiersConfig,
)
from swim_server.config.source_option import parse_source

__all__ = [
    "AuthConfig",
    "BrokerConfig",
    "ChannelsConfig",
    "Config",
    "ConfigError",
    "Count",
    "DatabaseConfig",
    "Duration",
    "ExpectConfig",
    "ExpectConnectionsConfig",
    "ExpectedCount",
    "FileSourceConfig",
    "HistoryConfig",
    "InvalidDuration",
    "LoadedConfig",
    "LoggingConfig",
    "Origin",
    "Port",
    "Problem",
    "RecordingSourceConfig",
    "ServerConfig",
    "SimulatorSourceConfig",
    "SourceConfig",
    "TierConfig",
    "TiersConfig",
    "load",
    "parse_duration",
    "parse_source",
]
