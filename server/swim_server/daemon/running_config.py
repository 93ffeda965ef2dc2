"""The configuration that this process runs with; a reload changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.config.secrets import without_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from swim_server.config import Config, LoadedConfig


class RunningConfig:
    """The values in force. All readers share one instance, so that each sees a change."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self.values: Config = loaded.config
        self.files: tuple[Path, ...] = loaded.files
        """Where they were read from."""

    def document(self) -> dict[str, Any]:
        """Return the values as built-in types, secrets hidden."""
        document: dict[str, Any] = without_secrets(msgspec.to_builtins(self.values))
        return document
