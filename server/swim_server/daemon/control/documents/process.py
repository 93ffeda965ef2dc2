"""What the process says of itself, and what it answers when it is told to do something."""

from __future__ import annotations

from typing import Any

import msgspec


class Version(msgspec.Struct, kw_only=True):
    """What code runs: taken at start, never read again."""

    version: str
    fingerprint: str
    commit: str | None = None
    python: str | None = None
    files: dict[str, str] = {}
    """Digest by path below the packages' folder."""
    roots: dict[str, str] = {}
    """Where each package lies."""
    dependencies: dict[str, str] = {}
    pid: int


class Restarted(msgspec.Struct, kw_only=True):
    """The process that has taken over."""

    pid: int
    version: str = ""
    fingerprint: str = ""
    url: str | None = None
    environment: dict[str, str | None] = {}
    """The process's values of the variables that the one who asked has otherwise, secrets hidden; None: not set."""
    has_left_terminal: bool = False
    """The previous process ran in a terminal; this one continues in the background."""


class Reloaded(msgspec.Struct, kw_only=True):
    """Settings by their dotted names."""

    changed: list[str] = []
    needs_restart: list[str] = []
    """They differ from what runs, and only a restart changes them."""


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
    """The process's value of each variable that differs from the asking one's; null: not set. No restart changes it."""


class KeyEnded(msgspec.Struct, kw_only=True):
    """The answer to ``key_end``."""

    is_stored: bool
    """False: the key is ended in memory; it is tried again until it is stored."""
    closed: int = 0
    silent_nodes: list[str] = []
    """Nodes that live and have not said that they know."""


class KeyChanged(msgspec.Struct, kw_only=True):
    """The answer to ``key_changed``."""

    closed: int
    """So many connections."""
    state: str | None = None
    """The key as the process's database has it: ``revoked``, ``valid``, ``missing`` …; None: it doesn't tell."""
    silent_nodes: list[str] = []
    """Nodes that live and have not said that they know."""


class ConnectionClosed(msgspec.Struct, kw_only=True):
    """The answer to ``connection_close``."""

    closed: bool = False
    """False: there was no such connection."""
