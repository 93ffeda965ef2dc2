"""Errors as facts: saved to a file by kind and fields, and raised again where the facts are evaluated."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec


class SavedError(msgspec.Struct, frozen=True, omit_defaults=True):
    """The error raised when a fact was observed."""

    kind: str
    fields: tuple[Any, ...]
    """The arguments of its class, in order."""


class Unlisted(Exception):
    """An error of a class that has no kind: only its text was saved."""


_KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "rpc": ("swimctl.client.session", "RpcFailed", ("method", "code", "problem")),
    "unreadable": ("swimctl.client.answers", "UnreadableAnswer", ("problem",)),
    "not-running": ("swimctl.errors", "DaemonNotRunning", ("problem", "next_step")),
    "command": ("swimctl.errors", "CommandFailed", ("problem", "next_step")),
    "cannot-ask": ("swimctl.doctor.probes.daemon_facts", "CannotAsk", ("problem", "fix")),
    "lost": ("swimctl.doctor.probes.probe_event", "Lost", ("reason",)),
    "not-upgraded": ("swimctl.doctor.probes.wire", "NotUpgraded", ("reason", "status")),
    "ended": ("swimctl.doctor.probes.wire", "Ended", ("code", "reason")),
    "no-tds": ("swimctl.doctor.probes.database.tds", "NoTds", ("reason",)),
    "config": ("swim_server.config", "ConfigError", ("problems",)),
    "outcome-unknown": ("swim_server.sql.errors", "OutcomeUnknown", ("reason",)),
    "store-unavailable": ("swim_server.sql.errors", "StoreUnavailable", ("reason",)),
    "store-denied": ("swim_server.sql.errors", "PermissionDenied", ("problem", "remedy")),
    "store-misconfigured": ("swim_server.sql.errors", "StoreMisconfigured", ("problem", "remedy")),
    "timeout": ("builtins", "TimeoutError", ()),
}
"""Subclasses first: module, class, and the attributes that hold its arguments."""


def saved_error(error: Exception) -> SavedError:
    """Convert an error to its kind and fields."""
    names = [f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__]
    for kind, (module, name, fields) in _KINDS.items():
        if any(each.endswith(f".{name}") and each.partition(".")[0] == module.partition(".")[0] for each in names):
            return SavedError(kind, tuple(getattr(error, field) for field in fields))
    if isinstance(error, OSError):
        if error.errno is not None and error.errno > 0 and error.strerror:
            filename = None if error.filename is None else str(error.filename)
            return SavedError("os", (error.errno, error.strerror, filename))
        return SavedError("os-text", (str(error.strerror or error),))
    return SavedError("other", (f"{type(error).__name__}: {error}",))


def error_of(saved: SavedError) -> Exception:
    """Recreate the error."""
    if saved.kind == "os":
        return OSError(*saved.fields) if saved.fields[2] is not None else OSError(*saved.fields[:2])
    if saved.kind == "os-text":
        return OSError(*saved.fields)
    if saved.kind not in _KINDS:
        return Unlisted(*saved.fields)
    module, name, _ = _KINDS[saved.kind]
    fields = saved.fields
    if saved.kind == "config":
        from swim_server.config import Problem

        fields = (msgspec.convert(fields[0], list[Problem]),)
    error: Exception = getattr(import_module(module), name)(*fields)
    return error
