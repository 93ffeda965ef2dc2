"""What a disk may contain after a power cut: the changes so far, replayed, and two models of what survives."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from support.disk.change_log import Change, Operation
from support.disk.cut_file import CutFile, Edit, ordered, prefix, torn

Model = Literal["ext4", "strict"]
"""``ext4``: names and sizes survive in order, up to some moment after the last sync; pages written over, in any
order. ``strict``: only what was synced is sure; of the rest any sectors, in any order, and any first part of the
changes of names."""
Amount = Literal["least", "names", "most", "some"]
"""How much survives of what was not synced: nothing, changes of names only, all, or what the random numbers say."""


class _Rename(NamedTuple):
    """One change of names. ``file`` None: ``path`` is removed; ``source``: so is its former name."""

    path: str
    file: int | None
    source: str


class PowerModel:
    """The disk below one folder. ``apply`` changes; ``build`` an image that a cut at this moment may leave."""

    def __init__(self, root: str, model: Model) -> None:
        self.root = root
        self.model = model
        self._files: dict[int, CutFile] = {}
        self._inodes: dict[int, int] = {}
        """The kernel's number of a file → ours: the kernel gives a number out again."""
        self._names: dict[str, int] = {}
        self._durable_names: dict[str, int] = {}
        self._pending_names: list[_Rename] = []
        self._folders: set[str] = set()
        self._syncs: dict[tuple[int, int], tuple[int, int]] = {}
        self._count = 0

    def apply(self, change: Change) -> None:
        """Apply the next change."""
        match change.operation:
            case Operation.CREATE:
                self._count += 1
                self._inodes[change.file] = self._names[change.path] = self._count
                self._files[self._count] = CutFile()
                self._pending_names.append(_Rename(change.path, self._inodes[change.file], ""))
            case Operation.WRITE if change.file in self._inodes:
                self._file(change).edit(Edit(change.offset, change.data, change.changed_ns))
            case Operation.TRUNCATE if change.file in self._inodes:
                self._file(change).edit(Edit(change.offset, None, change.changed_ns))
            case Operation.RENAME | Operation.LINK:
                self._rename(change)
            case Operation.UNLINK:
                if self._names.pop(change.path, None) is not None:
                    self._pending_names.append(_Rename(change.path, None, ""))
            case Operation.MKDIR:
                self._folders.add(change.path)
            case Operation.SYNC_BEGIN:
                is_folder = change.file not in self._inodes
                pending = 0 if is_folder else len(self._file(change).pending)
                self._syncs[change.pid, change.offset] = len(self._pending_names), pending
            case Operation.SYNC_END:
                self._synced(change)
            case _:
                pass

    def sync_all(self) -> None:
        """Put everything so far on the disk."""
        for file in self._files.values():
            file.settle(len(file.pending))
            file.is_size_pending = False
        self._durable_names = dict(self._names)
        self._pending_names.clear()
        self._syncs.clear()

    def _file(self, change: Change) -> CutFile:
        return self._files[self._inodes[change.file]]

    def _rename(self, change: Change) -> None:
        number = self._names.get(change.path)
        if number is None:
            return
        file = self._files[number]
        if change.other in self._names:
            file.forced = len(file.pending)
        is_rename = change.operation is Operation.RENAME
        if is_rename:
            del self._names[change.path]
        self._names[change.other] = number
        self._pending_names.append(_Rename(change.other, number, change.path if is_rename else ""))

    def _synced(self, change: Change) -> None:
        names, edits = self._syncs.pop((change.pid, change.offset), (0, 0))
        if change.file not in self._inodes:
            self._settle_names(names, change.path)
            return
        file = self._file(change)
        if self.model == "ext4" and (file.is_size_pending or not change.is_data_only):
            self._settle_names(names, None)
        file.settle(min(edits, len(file.pending)))
        file.is_size_pending &= bool(file.pending)

    def _settle_names(self, count: int, folder: str | None) -> None:
        """Put the first ``count`` name changes on the disk: on ext4 all of them, otherwise those of the folder."""
        kept: list[_Rename] = []
        for one in self._pending_names[:count]:
            if self.model == "strict" and folder not in (_folder(one.path), _folder(one.source)):
                kept.append(one)
                continue
            _rename_in(self._durable_names, one)
            if self.model == "ext4" and one.file is not None:
                self._files[one.file].settle(self._files[one.file].forced)
        self._pending_names[:count] = kept
        gone = count - len(kept)
        for key, (names, edits) in self._syncs.items():
            self._syncs[key] = max(0, names - gone), edits

    def build(self, folder: Path, amount: Amount, rng: random.Random) -> int:
        """Write what may remain into the empty ``folder``; return its size."""
        names = dict(self._durable_names)
        count = len(self._pending_names)
        kept = {"least": 0, "names": count, "most": count, "some": rng.randint(0, count)}[amount]
        for one in self._pending_names[:kept]:
            _rename_in(names, one)
        for path in self._folders:
            (folder / path[len(self.root) + 1 :]).mkdir(parents=True, exist_ok=True)
        survive = self._survivor(amount, rng)
        total = 0
        for path, number in names.items():
            file = self._files[number]
            is_named_anew = self._durable_names.get(path) != number
            content = survive(file, file.forced if self.model == "ext4" and is_named_anew else 0)
            target = folder / path[len(self.root) + 1 :]
            target.write_bytes(content)
            changed_ns = (
                file.changed_ns if amount in ("least", "names") or not file.pending else file.pending[-1].changed_ns
            )
            os.utime(target, ns=(changed_ns, changed_ns))
            total += len(content)
        return total

    def _survivor(self, amount: Amount, rng: random.Random) -> Callable[[CutFile, int], bytes]:
        if amount in ("least", "names"):
            return lambda file, forced: bytes(prefix(file, forced))
        if amount == "most":
            return lambda file, _: bytes(prefix(file, len(file.pending)))
        if self.model == "ext4":
            return lambda file, forced: ordered(file, forced, rng)
        return lambda file, _: torn(file, rng)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _rename_in(names: dict[str, int], one: _Rename) -> None:
    if one.source:
        names.pop(one.source, None)
    if one.file is None:
        names.pop(one.path, None)
    else:
        names[one.path] = one.file
