"""The configuration on disk, as a fact: written to a file without its secrets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.config import LoadedConfig

    from swimctl.doctor.context import DoctorContext


async def loaded(context: DoctorContext) -> LoadedConfig:
    """Load the configuration once. Raises ConfigError."""
    from swim_server.config import LoadedConfig

    return await context.fact(
        "config.loaded",
        lambda: asyncio.to_thread(context.invocation.load_config),
        "configuration files, environment",
        shape=LoadedConfig,
        encode=_shown,
    )


def _shown(found: LoadedConfig) -> dict[str, Any]:
    from swim_server.config.secrets import without_secrets

    return {
        "config": without_secrets(msgspec.to_builtins(found.config)),
        "origins": {name: msgspec.to_builtins(each) for name, each in found.origins.items() if each.kind != "default"},
        "files": [str(path) for path in found.files],
    }
