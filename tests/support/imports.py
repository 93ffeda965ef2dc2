"""Reads the imports of a source tree and compares them with the layers: an import never goes up."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

PACKAGES = ("swim_server", "swim_client", "swim_conformance", "swimctl")

LAYERS: Mapping[str, int] = {
    "swim_server": 0,
    "swim_server.errors": 0,
    "swim_server.protocol": 1,
    "swim_server.concurrency": 1,
    "swim_server.files": 1,
    "swim_server.keys.format": 1,
    "swim_server.detection": 2,
    "swim_server.keys.records": 2,
    "swim_server.keys.permissions": 2,
    "swim_server.config": 2,
    "swim_server.logs": 2,
    "swim_server.pages": 2,
    "swim_server.brokers": 3,
    "swim_server.sql": 3,
    "swim_server.keys": 4,
    "swim_server.state": 4,
    "swim_server.streaming": 5,
    "swim_server.sources": 6,
    "swim_server.gateway": 6,
    "swim_server.cluster": 6,
    "swim_server.workers": 6,
    "swim_server.daemon": 7,
    "swim_client": 0,
    "swim_conformance": 0,
    "swimctl": 8,
}
"""From the ground up. The longest name that fits counts; ``swim_server`` itself holds the version alone."""

_GROUND = ("swim_server.errors", "swim_server.protocol", "swim_server.keys.format")
ONLY: Mapping[str, tuple[str, ...]] = {
    "swim_server.config": ("swim_server.config", "swim_server.files", *_GROUND),
    "swim_server.logs": ("swim_server.logs", *_GROUND),
    "swim_server.concurrency": ("swim_server.concurrency", "swim_server.errors"),
    "swim_server.files": ("swim_server.files", "swim_server.errors"),
    "swim_server.pages": ("swim_server.pages",),
    "swim_server.protocol": ("swim_server.protocol",),
    "swim_server.detection": ("swim_server.detection", "swim_server.protocol"),
    "swim_client": ("swim_client",),
    "swim_conformance": ("swim_conformance",),
    "swim_server": ("swim_server",),
    "swimctl": ("swimctl", "swim_server", "swim_conformance"),
}
"""Of our own packages, these may import only those."""

_IMPURE = {
    "aiohttp", "asyncio", "glob", "http", "logging", "multiprocessing", "psutil", "queue", "random", "secrets",
    "select", "selectors", "shutil", "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "structlog", "subprocess",
    "tempfile", "threading", "time", "urllib.request", "watchfiles", "websockets",
}  # fmt: skip
_NETWORK = {
    "aiohttp", "http", "pyodbc", "socket", "sqlalchemy", "ssl", "urllib.request", "watchfiles", "websockets.asyncio",
    "websockets.sync",
}  # fmt: skip

FORBIDDEN: Mapping[str, set[str]] = {
    "swim_server.protocol": _IMPURE | {"os", "pathlib"},
    "swim_server.detection": _IMPURE,
    "swim_server.keys.format": _IMPURE | {"os", "pathlib"},
    "swim_server.keys.records": _IMPURE | {"os", "pathlib"},
    "swim_server.keys.permissions": _IMPURE | {"os", "pathlib"},
    "swim_server.streaming": _NETWORK | {"sqlite3", "os", "pathlib"},
    "swim_server.brokers": _NETWORK,
}
"""Of the libraries, these may not import those."""

MAX_MODULES = 25
"""A folder with more modules is split. ``swimctl/commands`` has one module a command, however many there are."""
MAY_HAVE_MORE = ("swimctl.commands",)

CLIENT_MAY_IMPORT = ("websockets",)
"""What consumers install beside ``swim_client``."""


class Import(NamedTuple):
    """One import in one file."""

    file: Path
    line: int
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


def violations(roots: Mapping[str, Path], stdlib: frozenset[str]) -> list[str]:
    """Check every import of the packages below their folders, including type-only and lazy ones."""
    found = []
    for package, root in roots.items():
        for file in sorted(root.rglob("*.py")):
            for each in imports_of(file, package, root):
                reason = _judge(each, stdlib)
                if reason is not None:
                    found.append(f"{each}: {reason}")
    return found


def circles(roots: Mapping[str, Path]) -> list[list[str]]:
    """Find every group of modules that import each other in a circle, including lazy and type-only imports."""
    graph: dict[str, set[str]] = {}
    for package, root in roots.items():
        for file in sorted(root.rglob("*.py")):
            graph.setdefault(module_name(file, package, root), set())
    for package, root in roots.items():
        for file in sorted(root.rglob("*.py")):
            importer = module_name(file, package, root)
            graph[importer].update(
                each.imported
                for each in imports_of(file, package, root)
                if each.imported in graph and not _is_in(importer, each.imported)
            )
    return sorted(sorted(group) for group in _strongly_connected(graph) if len(group) > 1)


def _strongly_connected(graph: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """Group the nodes that reach each other, by two depth-first walks (Kosaraju)."""
    order: list[str] = []
    seen: set[str] = set()
    for start in graph:
        _walk(start, graph, seen, order)
    backwards: dict[str, set[str]] = {node: set() for node in graph}
    for node, targets in graph.items():
        for target in targets:
            backwards[target].add(node)
    seen = set()
    for start in reversed(order):
        if start not in seen:
            group: list[str] = []
            _walk(start, backwards, seen, group)
            yield set(group)


def _walk(start: str, graph: Mapping[str, set[str]], seen: set[str], finished: list[str]) -> None:
    if start in seen:
        return
    seen.add(start)
    path = [(start, iter(sorted(graph[start])))]
    while path:
        node, targets = path[-1]
        target = next((each for each in targets if each not in seen), None)
        if target is None:
            path.pop()
            finished.append(node)
        else:
            seen.add(target)
            path.append((target, iter(sorted(graph[target]))))


def crowded_folders(roots: Mapping[str, Path]) -> list[str]:
    """List the folders with more modules than a reader can grasp at a glance."""
    found = []
    for package, root in roots.items():
        for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir())]:
            name = ".".join([package, *folder.relative_to(root).parts])
            modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            if len(modules) > MAX_MODULES and name not in MAY_HAVE_MORE:
                found.append(f"{name}: {len(modules)} modules")
    return found


def module_name(file: Path, package: str, root: Path) -> str:
    """Return a module's dotted name from its file."""
    parts = [package, *file.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path, package: str, root: Path) -> Iterator[Import]:
    """Read the imports of one file; ``from x import y`` means ``x.y`` if that is a module of this project."""
    relative = file.relative_to(root).with_suffix("")
    parts = [package, *relative.parts]
    importer = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, importer, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, importer, is_package=parts[-1] == "__init__")
            yield Import(file, node.lineno, importer, module)
            if module.partition(".")[0] in PACKAGES:
                for alias in node.names:
                    yield Import(file, node.lineno, importer, f"{module}.{alias.name}")


def _absolute(node: ast.ImportFrom, importer: str, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    base = importer.split(".")
    base = base[: len(base) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _judge(each: Import, stdlib: frozenset[str]) -> str | None:
    top = each.imported.partition(".")[0]
    if top not in PACKAGES:
        return _judge_library(each, top, stdlib)
    allowed = _rule(ONLY, each.importer)
    if allowed is not None and not any(_is_in(each.imported, package) for package in allowed):
        return f"it may import only {', '.join(allowed)}"
    if _layer(each.imported) > _layer(each.importer):
        return f"layer {_layer(each.imported)} stands above layer {_layer(each.importer)}"
    return None


def _judge_library(each: Import, top: str, stdlib: frozenset[str]) -> str | None:
    forbidden = _rule(FORBIDDEN, each.importer) or set()
    if any(_is_in(each.imported, name) for name in forbidden):
        return "that does not belong into this layer"
    if _is_in(each.importer, "swim_client") and top not in stdlib and top not in CLIENT_MAY_IMPORT:
        return f"consumers install only {', '.join(CLIENT_MAY_IMPORT)}"
    return None


def _layer(module: str) -> int:
    layer = _rule(LAYERS, module)
    return 0 if layer is None else layer


def _rule(rules: Mapping[str, T], module: str) -> T | None:
    fitting = [name for name in rules if _is_in(module, name)]
    return rules[max(fitting, key=len)] if fitting else None


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
