"""What the process reports about itself, and its answers to commands."""

# Annotations are values here, not text that msgspec would have to compile and evaluate at each start.

from typing import Any

import msgspec


class Version(msgspec.Struct, kw_only=True):
    """The code that runs, recorded at the start."""

    version: str
    fingerprint: str
    commit: str | None = None
    python: str | None = None
    files: dict[str, str] = {}
    """Digest by path below the packages' folder."""
    roots: dict[str, str] = {}
    """The folder of each package."""
    dependencies: dict[str, str] = {}
    pid: int


class Restarted(msgspec.Struct, kw_only=True):
    """The process that has taken over."""

    pid: int
    version: str = ""
    fingerprint: str = ""
    url: str | None = None
    environment: dict[str, str | None] = {}
    """The process's values of the variables that differ from the caller's, secrets hidden; None: not set."""
    has_left_terminal: bool = False
    """The previous process ran in a terminal; this one runs in the background."""


class Reloaded(msgspec.Struct, kw_only=True):
    """The result of a reload; settings by their dotted names."""

    changed: list[str] = []
    needs_restart: list[str] = []
    """Settings that differ from those in force and that only a restart changes."""


class ChangedSetting(msgspec.Struct, kw_only=True):
    """A setting whose configured value is not the one in force. Secrets are hidden."""

    running: Any = None
    configured: Any = None


class ConfigChanges(msgspec.Struct, kw_only=True):
    """What a reload and what a restart would change, by dotted names."""

    reload: dict[str, ChangedSetting] = {}
    restart: dict[str, ChangedSetting] = {}
    problem: str | None = None
    """Why the configuration can't be read."""
    environment: dict[str, str | None] = {}
    """The process's value of each variable that differs from the caller's; null: not set. No restart changes it."""


class KeyEnded(msgspec.Struct, kw_only=True):
    """The answer to ``key_end``."""

    is_stored: bool
    """False: the key is revoked or expired in memory; storing that is retried."""
    closed: int = 0
    silent_nodes: list[str] = []
    """Live nodes that have not confirmed."""


class KeyChanged(msgspec.Struct, kw_only=True):
    """The answer to ``key_changed``."""

    closed: int
    """Number of connections."""
    state: str | None = None
    """The key as in the process's database: ``revoked``, ``valid``, ``missing`` …; None: not reported."""
    silent_nodes: list[str] = []
    """Live nodes that have not confirmed."""


class ConnectionClosed(msgspec.Struct, kw_only=True):
    """The answer to ``connection_close``."""

    closed: bool = False
    """False: there was no such connection."""
