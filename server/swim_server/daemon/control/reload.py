"""Applying a changed configuration to the living service: what can be changed without dropping anyone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swim_server import logs
from swim_server.config.secrets import without_secrets

if TYPE_CHECKING:
    from swim_server.config import Config, LoadedConfig
    from swim_server.daemon.service import Service

SOURCES = ("sources", "adl", "detection")
LOGGING = ("level", "format", "max_bytes", "keep_files")
RELOADABLE = ("tiers", "auth.recheck_seconds", *(f"logging.{name}" for name in LOGGING), "expect", "publish", *SOURCES)
"""Settings, by the beginning of their dotted name, that take effect at once. All others need a restart."""


async def apply(service: Service, loaded: LoadedConfig) -> dict[str, Any]:
    """Apply what can be applied; return the dotted names of what changed and of what waits for a restart."""
    from swim_server.daemon.service import publishing_rules, tier_limits

    before, after = service.config, loaded.config
    changed = sorted(differences(msgspec.to_builtins(before), msgspec.to_builtins(after)))
    living = [name for name in changed if name.startswith(RELOADABLE)]
    waiting = [name for name in changed if name not in living]
    service.admission.limits.update(tier_limits(after.tiers))
    service.key_watch.recheck_seconds = after.auth.recheck_seconds
    if (before.logging.level, before.logging.format) != (after.logging.level, after.logging.format):
        logs.configure(after.logging.level, after.logging.format, service.log_stream)
    if service.log_stream is not None:
        service.log_stream.max_bytes = after.logging.max_bytes
        service.log_stream.keep_files = after.logging.keep_files
    service.conversation.publishing = publishing_rules(after.publish, service.catalogue)
    if any(name.startswith(SOURCES) for name in living):
        await service.replace_sources(after)
    service.config = msgspec.structs.replace(
        before,
        tiers=after.tiers,
        auth=msgspec.structs.replace(before.auth, recheck_seconds=after.auth.recheck_seconds),
        logging=msgspec.structs.replace(before.logging, **{name: getattr(after.logging, name) for name in LOGGING}),
        sources=after.sources,
        adl=after.adl,
        detection=after.detection,
        publish=after.publish,
        expect=after.expect,
    )
    service.log.info("configuration read again", changed=living, needs_restart=waiting)
    return {"changed": living, "needs_restart": waiting}


def pending(before: Config, after: Config) -> dict[str, Any]:
    """What ``apply`` and what a restart would change: running and new value by dotted name, secrets hidden."""
    plain_before, plain_after = msgspec.to_builtins(before), msgspec.to_builtins(after)
    shown_before, shown_after = without_secrets(plain_before), without_secrets(plain_after)
    reload: dict[str, Any] = {}
    restart: dict[str, Any] = {}
    for name in sorted(differences(plain_before, plain_after)):
        found = {"running": value_at(shown_before, name), "configured": value_at(shown_after, name)}
        (reload if name.startswith(RELOADABLE) else restart)[name] = found
    return {"reload": reload, "restart": restart}


def value_at(values: Any, name: str) -> Any:
    """The value with a dotted name as ``differences`` makes them; None where there is none."""
    if not name:
        return values
    if not isinstance(values, dict):
        return None
    for key, value in values.items():
        if name == key:
            return value
        if name.startswith(f"{key}.") and (found := value_at(value, name[len(key) + 1 :])) is not None:
            return found
    return None


def differences(before: Any, after: Any, name: str = "") -> set[str]:
    """Dotted names of the values that differ; a list that differs counts as one value."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: set[str] = set()
        for key in before.keys() | after.keys():
            found |= differences(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))
        return found
    return set() if before == after else {name}
