"""Tells whether two processes use the same key database, without either revealing how it is reached."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from swim_server.config.database_settings import DatabaseConfig


def database_identity(config: DatabaseConfig, default_path: Path) -> str:
    """Return a digest of where the keys are. The same settings and home, the same digest."""
    where = msgspec.json.encode([msgspec.to_builtins(config), str(default_path.absolute())])
    return hashlib.sha256(where).hexdigest()
