"""Reads the configuration again and applies what can be changed without disconnecting anyone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server import logs
from swim_server.config import ConfigError, Problem
from swim_server.config.differences import differences, value_at
from swim_server.config.files import LOCAL_NAME
from swim_server.config.secrets import without_secrets
from swim_server.config.settings import LOGGING, RELOADABLE, SOURCES
from swim_server.daemon.control.documents.process import ChangedSetting, ConfigChanges, Reloaded
from swim_server.daemon.rules import publishing_rules, tier_limits, warn_of_clamped_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from swim_server.config import Config, LoadedConfig
    from swim_server.daemon.components import Components


class Reloader:
    """Changes the configuration of a running daemon."""

    def __init__(
        self,
        components: Components,
        read: Callable[[], LoadedConfig] | None,
        status_line: Callable[[], str],
    ) -> None:
        self._components = components
        self._read = read
        """Reads files and environment again; None: there is nothing to read."""
        self._status_line = status_line

    async def reload(self) -> Reloaded:
        """Read the configuration and apply it. Raises ConfigError, with nothing changed."""
        if self._read is None:
            return Reloaded()
        parts = self._components
        parts.notifier.reloading("reloading the configuration")
        try:
            loaded = await self._read_again(self._read)
            parts.tasks.start(parts.key_watch.recheck_all())  # an operator who reloads expects fresh keys too
            done = await self.apply(loaded.config)
            parts.config.files = loaded.files
            return done
        finally:
            parts.notifier.ready(self._status_line())

    async def _read_again(self, read: Callable[[], LoadedConfig]) -> LoadedConfig:
        """Read files and environment. Raises ConfigError, also if the file that this process runs with is gone.

        Whatever is found instead (another folder's file, the defaults) is not what the operator has changed.
        """
        loaded = await asyncio.to_thread(read)
        running = [path for path in self._components.config.files if path.name != LOCAL_NAME]
        gone = next((path for path in running if path not in loaded.files), None)
        if gone is not None:
            others = ", ".join(map(str, loaded.files)) or "the built-in defaults"
            rule = f"the daemon runs with this file, which is gone; put it back, or use {others} with swimctl restart"
            raise ConfigError([Problem(str(gone), rule)])
        return loaded

    def request(self) -> None:
        """Reload on a signal; the result is logged."""
        self._components.tasks.start(self._reload_quietly())

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except ConfigError as error:
            self._components.log.error("configuration not reloaded: nothing has changed", reason=str(error))

    async def changes(self) -> ConfigChanges:
        """Return what a reload and what a restart would change. Changes nothing."""
        if self._read is None:
            return ConfigChanges()
        try:
            loaded = await self._read_again(self._read)
        except ConfigError as error:
            return ConfigChanges(problem=str(error))
        return pending_changes(self._components.config.values, loaded.config)

    async def apply(self, after: Config) -> Reloaded:
        """Apply what can be applied; return the names of the settings that changed and that wait for a restart."""
        parts = self._components
        before = parts.config.values
        changed = sorted(differences(msgspec.to_builtins(before), msgspec.to_builtins(after)))
        applied = [name for name in changed if name.startswith(RELOADABLE)]
        waiting = [name for name in changed if name not in applied]
        parts.admission.limits.update(tier_limits(after.tiers))
        parts.key_watch.recheck_seconds = after.auth.recheck_seconds
        self._apply_logging(before, after)
        parts.conversation.publishing = publishing_rules(after.publish, parts.catalogue)
        warn_of_clamped_events(after.publish, parts.log)
        if parts.tls is not None:
            await asyncio.to_thread(parts.tls.reload)
        if any(name.startswith(SOURCES) for name in applied):
            await parts.sources.replace(after)
        parts.config.values = _merged(before, after)
        if parts.workers is not None:
            await parts.workers.reload()
        parts.log.info("configuration reloaded", changed=applied, needs_restart=waiting)
        return Reloaded(changed=applied, needs_restart=waiting)

    def _apply_logging(self, before: Config, after: Config) -> None:
        stream = self._components.log_stream
        if (before.logging.level, before.logging.format) != (after.logging.level, after.logging.format):
            logs.configure(after.logging.level, after.logging.format, stream)
        if stream is not None:
            stream.max_bytes = after.logging.max_bytes
            stream.keep_files = after.logging.keep_files


def _merged(before: Config, after: Config) -> Config:
    """Return the new configuration with the previous values of what only a restart changes."""
    return msgspec.structs.replace(
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


def pending_changes(before: Config, after: Config) -> ConfigChanges:
    """Compare what runs with what is configured: running and new value by dotted name, secrets hidden. Pure."""
    plain_before, plain_after = msgspec.to_builtins(before), msgspec.to_builtins(after)
    shown_before, shown_after = without_secrets(plain_before), without_secrets(plain_after)
    changes = ConfigChanges()
    for name in sorted(differences(plain_before, plain_after)):
        running: Any = value_at(shown_before, name)
        change = ChangedSetting(running=running, configured=value_at(shown_after, name))
        (changes.reload if name.startswith(RELOADABLE) else changes.restart)[name] = change
    return changes
