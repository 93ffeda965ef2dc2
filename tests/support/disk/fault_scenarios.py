"""The ways in which a disk fails: which operation, where, how often, and when."""

from __future__ import annotations

from typing import Literal

import msgspec
from support.disk import home_files
from support.disk.preload import Rule

GRACE_SECONDS = 3.0
"""A taken event file is removed only some time after the last change to it."""
When = Literal["running", "start"]


class Scenario(msgspec.Struct, frozen=True):
    """One failing disk. ``seconds`` is how long it fails."""

    name: str
    rules: list[Rule]
    when: When = "running"
    synchronous: str = "normal"
    seconds: float = 0.0
    with_keys: bool = False
    """Keys are created and revoked meanwhile."""
    with_recording: bool = False
    """All events are recorded meanwhile, and a recording is played."""
    is_short: bool = False
    """It takes part in the short run."""


_HISTORY, _MARK, _KEYS = "*/home/history.db*", "*/home/history.mark", "*/home/swim.db*"
_RECORDED, _PLAYED = f"*/disk/{home_files.RECORDING}", f"*/disk/{home_files.PLAYED}"
_MARKS = (_MARK, "*/home/*history.witness*", "*/home/*installation*")
_BESIDE = ("*/home/*swim.ended*", "*/home/*state.checkpoint*", "*/home/*starts.jsonl*", "*/home/*operator.token*")
_STATE, _DROPPED, _GIVEN = "*/home/sources/*", "*/drop/*taken*", "*/feed/*taken*"


def scenarios(seconds: float) -> list[Scenario]:
    """Return all scenarios."""
    history = [
        _one("history: a quarter of reads fail", "read", _HISTORY, "EIO", 0.25, is_short=True),
        _one(
            "history: a quarter of reads fail at the start", "read", _HISTORY, "EIO", 0.25, when="start", is_short=True
        ),
        _one("history: every read fails at the start", "read", _HISTORY, "EIO", when="start"),
        _one("history: reads interrupted", "read", _HISTORY, "EINTR", 0.3),
        _one("history: short reads", "read", _HISTORY, "short", 0.3),
        _one("history: short reads at the start", "read", _HISTORY, "short", 0.1, when="start"),
        _one("history: a quarter of writes fail", "write", _HISTORY, "EIO", 0.25, is_short=True),
        _one("history: every write fails", "write", _HISTORY, "EIO"),
        _one("history: no space", "write,truncate", _HISTORY, "ENOSPC"),
        _one("history: no space at the start", "write,truncate", _HISTORY, "ENOSPC", when="start", is_short=True),
        _one("history: writes interrupted", "write", _HISTORY, "EINTR", 0.3),
        _one("history: short writes", "write", _HISTORY, "short", 0.3),
        _one("history: syncs fail", "fsync", _HISTORY, "EIO", 0.5),
        _one("history: syncs fail, full", "fsync", _HISTORY, "EIO", 0.5, synchronous="full", is_short=True),
        _one("history: opening fails", "open", _HISTORY, "EIO", 0.3),
        _one("history: read-only", "write,truncate,open", _HISTORY, "EROFS"),
        _one("mark: writes fail", "write,fsync", _MARK, "EIO"),
        _one("mark: reads fail at the start", "read,open", _MARK, "EIO", when="start"),
        _one("mark and witness: no space", "write", _MARKS, "ENOSPC"),
        _one("mark and witness: no space at the start", "write", _MARKS, "ENOSPC", when="start"),
    ]
    keys = [
        _one("keys: a quarter of reads fail", "read", _KEYS, "EIO", 0.25, with_keys=True),
        _one("keys: a quarter of reads fail at the start", "read", _KEYS, "EIO", 0.25, when="start", with_keys=True),
        _one("keys: half of writes fail", "write", _KEYS, "EIO", 0.5, with_keys=True),
        _one("keys: no space", "write", _KEYS, "ENOSPC", with_keys=True),
        _one("keys: syncs fail", "fsync", _KEYS, "EIO", 0.5, with_keys=True),
        _one("keys: short writes", "write", _KEYS, "short", 0.3, with_keys=True),
        _one("beside keys and history: no space", "write", _BESIDE, "ENOSPC", with_keys=True),
        _one("beside keys and history: no space at the start", "write", _BESIDE, "ENOSPC", when="start"),
    ]
    sources = [
        _one("drop state: writes fail", "write,rename", _STATE, "EIO", 0.5, is_short=True),
        _one("drop state: no space", "write", _STATE, "ENOSPC"),
        _one("drop state: short writes", "write", _STATE, "short", 0.5),
        _one("drop folder: reads fail", "read,open", _DROPPED, "EIO", 0.3),
        _one("drop folder: removing fails", "unlink", _DROPPED, "EIO", 0.5),
        _one("event file: reads fail", "read,open", _GIVEN, "EIO", 0.3),
        _one("event file: removing fails", "unlink", _GIVEN, "EIO", 0.5, seconds=GRACE_SECONDS),
    ]
    recordings = [
        _one("recording: a quarter of reads fail", "read,open", _PLAYED, "EIO", 0.25, with_recording=True),
        _one("recording: short reads", "read", _PLAYED, "short", 0.3, with_recording=True),
        _one("recording: half of writes fail", "write", _RECORDED, "EIO", 0.5, with_recording=True),
        _one("recording: no space", "write", _RECORDED, "ENOSPC", with_recording=True),
        _one("recording: short writes", "write", _RECORDED, "short", 0.5, with_recording=True),
    ]
    everything = [
        _one("all files: a tenth of reads fail", "read", "*/disk/*", "EIO", 0.1),
        _one("all files: no space", "write,truncate", "*/disk/home/*", "ENOSPC"),
        _one("all files: interrupted", "read,write", "*/disk/home/*", "EINTR", 0.2),
        _one("all files: short", "read,write", "*/disk/home/*", "short", 0.2),
        _one("all files: no space at the start", "write,truncate", "*/disk/home/*", "ENOSPC", when="start"),
    ]
    every = history + keys + sources + recordings + everything
    return [msgspec.structs.replace(one, seconds=max(seconds, one.seconds)) for one in every]


def _one(
    name: str,
    operations: str,
    patterns: str | tuple[str, ...],
    error: str,
    share: float = 1.0,
    *,
    when: When = "running",
    synchronous: str = "normal",
    seconds: float = 0.0,
    with_keys: bool = False,
    with_recording: bool = False,
    is_short: bool = False,
) -> Scenario:
    rules = [Rule(operations, each, error, share) for each in ([patterns] if isinstance(patterns, str) else patterns)]
    return Scenario(
        name, rules, when, synchronous, seconds=seconds, with_keys=with_keys, with_recording=with_recording,
        is_short=is_short,
    )  # fmt: skip
