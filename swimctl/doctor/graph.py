"""Which checks depend on which: what broken check explains which others, and in which order they are reported. Pure.

A check ``needs`` those without which it can't run at all. ``EXPLAINED_BY`` names those it can run without, but whose
failure makes it fail: a full disk and an unwritable history are one fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cache
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import UNLOADABLE, Advice, AdviceKind, Result, Status

if TYPE_CHECKING:
    from swimctl.doctor.check import Check


class Layer(IntEnum):
    """What a check is about; lower layers carry higher ones."""

    DISK = 0
    INSTALLATION = 1
    CONFIGURATION = 2
    LOCK = 3
    PROCESS = 4
    CODE = 5
    RUNNING_CONFIGURATION = 6
    DATABASE = 7
    KEYS = 8
    LISTENERS = 9
    FRONT = 10
    SOURCES = 11
    NODES = 12
    STREAM = 13
    CLIENTS = 14


_LAYERS: tuple[tuple[str, Layer], ...] = (
    ("host.log", Layer.PROCESS),
    ("host.unit", Layer.PROCESS),
    ("host.", Layer.DISK),
    ("install.", Layer.INSTALLATION),
    ("code.checkout", Layer.INSTALLATION),
    ("code.compiles", Layer.INSTALLATION),
    ("config.running", Layer.RUNNING_CONFIGURATION),
    ("config.same-files", Layer.RUNNING_CONFIGURATION),
    ("config.environment", Layer.RUNNING_CONFIGURATION),
    ("config.", Layer.CONFIGURATION),
    ("process.lock", Layer.LOCK),
    ("process.port", Layer.LOCK),  # a process that can't have its port does not run
    ("process.", Layer.PROCESS),
    ("code.", Layer.CODE),
    ("database.", Layer.DATABASE),
    ("keys.", Layer.KEYS),
    ("tiers.", Layer.LISTENERS),
    ("front.", Layer.FRONT),
    ("stream.sources", Layer.SOURCES),
    ("stream.event-file", Layer.SOURCES),
    ("stream.known-types", Layer.SOURCES),
    ("stream.", Layer.STREAM),
    ("nodes.", Layer.NODES),
    ("connections.", Layer.CLIENTS),
)

_DISK = ("host.disk", "host.ownership")
_SERVER = ("nodes.present", "nodes.memory")
"""What keeps a server that nodes share from storing events."""
_FRONT = ("front.tcp", "front.certificate", "front.upgrade", "front.key-header", "front.same-process", "front.answers")

EXPLAINED_BY: Mapping[str, tuple[str, ...]] = {
    "host.disk": ("host.disk-errors",),
    "host.ownership": ("host.disk",),
    "host.folders": _DISK,
    "host.log": (*_DISK, "process.file-length"),
    "config.valid": ("host.ownership",),
    "config.running": ("config.valid",),
    "process.running": (
        *_DISK, "install.python", "install.dependencies", "install.files", "code.compiles", "config.valid",
        "process.port",
    ),
    "process.restarts": ("process.memory", "host.disk"),
    "process.workers": ("process.memory", "process.throttled", "code.process-is-disk"),
    "process.user": ("host.ownership",),
    "process.loop": ("process.throttled", "process.memory"),
    "code.process-is-disk": ("install.files", "code.compiles"),
    "code.checkout": ("code.compiles",),
    "code.same-copy": ("code.process-is-disk",),
    "code.dependencies": ("install.dependencies", "code.process-is-disk"),
    "code.version": ("code.process-is-disk", "code.same-copy"),
    "code.commit": ("code.process-is-disk", "code.same-copy"),
    "tiers.in-force": ("config.running", "config.environment", "config.same-files"),
    "database.reachable": (*_DISK, "process.files"),
    "database.writable": _DISK,
    "database.same-store": ("process.files", "config.running", "config.environment"),
    "database.in-use": _DISK,
    "keys.ended-stored": (*_DISK, "database.writable", "database.in-use"),
    "keys.owned": ("keys.as-written",),
    "keys.tiered": ("keys.as-written",),
    "keys.made-up-refused": ("process.port",),
    "front.tcp": ("front.capacity",),
    "front.certificate": ("front.capacity",),
    "front.upgrade": ("process.port", "front.capacity"),
    "front.same-process": ("process.port",),
    "front.answers": ("tiers.room", "front.upgrade", "stream.event-comes-out"),
    "stream.sources": (*_DISK, "process.file-length", "host.folders", "stream.event-file"),
    "stream.event-file": _DISK,
    "stream.history-writable": (*_DISK, "host.disk-errors", "process.files", "process.file-length", *_SERVER),
    "stream.history-sound": (*_DISK, "host.disk-errors", "process.files", "stream.history-writable", *_SERVER),
    "stream.history-kept": ("process.files", "stream.history-sound"),
    "stream.state-is-fold": ("stream.history-sound",),
    "nodes.probe": ("nodes.memory",),
    "stream.event-comes-out": (*_SERVER, "nodes.probe", "process.loop", "process.throttled", "tiers.room"),
    "connections.keep-up": ("process.loop", "process.throttled"),
    "connections.refused": ("tiers.room",),
    "connections.expected": (*_FRONT, "connections.refused", "tiers.room", "process.port"),
}  # fmt: skip

WEIGHT = {Status.FAIL: 3, Status.UNKNOWN: 2, Status.WARN: 1}
"""A failure explains everything that depends on it; a warning explains no failure."""


@cache
def layer_of(id: str) -> Layer:
    """Return the layer of a check. Raises AssertionError for a check without one."""
    for beginning, layer in _LAYERS:
        if id.startswith(beginning):
            return layer
    raise AssertionError(f"check {id} has no layer in swimctl/doctor/graph.py")


class Graph:
    """The checks of one run and their dependencies."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.dependencies: dict[str, tuple[str, ...]] = {}
        """For each check, its direct dependencies, nearest first."""
        known = {check.id: check for check in checks}
        for check in known.values():
            below = (*check.needs, *EXPLAINED_BY.get(check.id, ()))
            self.dependencies[check.id] = tuple(dict.fromkeys(each for each in below if each in known))
        self.order: tuple[str, ...] = tuple(self._bottom_up())
        """Dependencies first; among independent checks, the lower layer first."""
        self._rank = {id: number for number, id in enumerate(self.order)}

    def _bottom_up(self) -> Iterable[str]:
        missing = {id: len(below) for id, below in self.dependencies.items()}
        above: dict[str, list[str]] = {id: [] for id in missing}
        for id, below in self.dependencies.items():
            for each in below:
                above[each].append(id)
        ready = [(layer_of(id), id) for id, count in missing.items() if not count]
        heapify(ready)
        while ready:
            _, lowest = heappop(ready)
            del missing[lowest]
            yield lowest
            for id in above[lowest]:
                missing[id] -= 1
                if not missing[id]:
                    heappush(ready, (layer_of(id), id))
        if missing:
            raise AssertionError(f"checks rest on each other in a circle: {', '.join(missing)}")

    def rank(self, id: str) -> int:
        """Return a check's place in the order; unknown checks come last."""
        return self._rank.get(id, len(self.order))

    def path(self, id: str) -> list[str]:
        """Return all dependencies of a check, the lowest first, and the check itself last."""
        found: set[str] = set()
        waiting = [id]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.dependencies.get(name, ())
        return sorted(found, key=self.rank)

    def cause_of(self, result: Result, broken: Mapping[str, Result]) -> str | None:
        """Return the lowest broken check that explains this one; None: nothing below it is equally broken.

        A check that passed explains nothing: where the database can be read, a full disk doesn't explain its contents.
        """
        found: set[str] = set()
        if result.observed.startswith(UNLOADABLE):
            found |= broken.keys() & {"code.compiles", "install.dependencies", "install.files"}
        waiting = [result]
        while waiting:
            each = waiting.pop()
            for below in self.dependencies.get(each.id, ()):
                if below in broken and below not in found and WEIGHT[broken[below].status] >= WEIGHT[each.status]:
                    found.add(below)
                    waiting.append(broken[below])
        return min(found, key=self.rank, default=None)


def with_causes(results: Sequence[Result], graph: Graph) -> list[Result]:
    """Name the cause of each broken check that depends on another; its own advice has to wait."""
    broken = {each.id: each for each in results if each.status in WEIGHT}
    folded = []
    for each in results:
        cause = graph.cause_of(each, broken) if each.id in broken else None
        folded.append(each if cause is None else _beneath(each, cause))
    return folded


def _beneath(result: Result, cause: str) -> Result:
    """Attach a result to its cause: nothing of it should be pasted before the cause is fixed."""
    advice = result.advice
    if result.fix is not None:
        first = Advice(kind=AdviceKind.DECIDE, command=result.fix, requires=f"if it is still so when {cause} is well")
        advice = (first, *advice)
    return msgspec.structs.replace(result, cause=cause, fix=None, advice=advice)
