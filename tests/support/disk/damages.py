"""Other damage to files at rest than flipped bits: truncated, zeroed, missing, older, or another installation's."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from support.disk import home_files
from support.disk.rot_base import Files, Installation

PAGE_BYTES = 4096
_HISTORY_FILES = (home_files.HISTORY, home_files.HISTORY_LOG, home_files.MARK, home_files.WITNESS)


class Damage(msgspec.Struct, frozen=True):
    """Files to start on."""

    name: str
    files: Files
    is_killed: bool = False
    """Of the files after a kill; else after a stop."""
    sent: frozenset[str] = frozenset()
    """Names of events that stand in them beside what was sent here."""


def damages(installation: Installation, foreign: Installation) -> Iterator[Damage]:
    """Return all damages."""
    for file in (home_files.HISTORY, home_files.MARK, home_files.WITNESS, home_files.INSTALLATION, home_files.KEYS):
        yield from _of_one_file(file, installation.stopped, is_killed=False)
    state = next(name for name in installation.killed if name.startswith(home_files.SOURCE_STATE))
    for file in (home_files.HISTORY_LOG, home_files.HISTORY, state):
        yield from _of_one_file(file, installation.killed, is_killed=True)
    stopped = installation.stopped
    for name in (home_files.HISTORY, home_files.MARK, home_files.WITNESS, home_files.INSTALLATION):
        others = {**stopped, name: foreign.stopped[name]}
        yield Damage(f"{name} of another installation", others, sent=frozenset(foreign.ledger.sent))
        if name != home_files.INSTALLATION:
            yield Damage(f"{name} older", {**stopped, name: installation.older[name]})
    others = {**_without(stopped, *_HISTORY_FILES), **_of_history(foreign.stopped)}
    yield Damage("all of history from another installation", others, sent=frozenset(foreign.ledger.sent))
    yield Damage(
        "history, log and mark older", {**_without(stopped, *_HISTORY_FILES[:3]), **_chosen(installation.older)}
    )
    beside = {**installation.killed, home_files.HISTORY_LOG: foreign.killed[home_files.HISTORY_LOG]}
    yield Damage(f"{home_files.HISTORY_LOG} of another installation", beside, is_killed=True)
    yield Damage(f"{home_files.KEYS} older", {**stopped, **installation.older_keys})


def _chosen(files: Files) -> Files:
    return {name: files[name] for name in _HISTORY_FILES[:3] if name in files}


def _of_history(files: Files) -> Files:
    return {name: files[name] for name in _HISTORY_FILES if name in files}


def _of_one_file(file: str, files: Files, *, is_killed: bool) -> Iterator[Damage]:
    content, changed_ns = files[file]
    middle = len(content) // 2 // PAGE_BYTES * PAGE_BYTES
    kinds = {
        "cut off in the middle": content[: middle + 100],
        "empty": b"",
        "with a page of zeros": content[:middle] + bytes(len(content[middle : middle + PAGE_BYTES]))
        + content[middle + PAGE_BYTES :],
        "all zeros": bytes(len(content)),
        "with garbage behind it": content + b"\xa5" * 5000,
    }  # fmt: skip
    when = ", killed" if is_killed else ""
    for kind, damaged in kinds.items():
        yield Damage(f"{file} {kind}{when}", {**files, file: (damaged, changed_ns)}, is_killed)
    yield Damage(f"{file} gone{when}", _without(files, file), is_killed)


def _without(files: Files, *names: str) -> Files:
    return {name: content for name, content in files.items() if name not in names}
