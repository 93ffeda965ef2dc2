"""Reads the imports of a source tree and judges them by the layers: an import never goes up."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

PACKAGES = ("swim_server", "swim_client", "swimctl")

LAYERS: Mapping[str, int] = {
    "swim_server.protocol": 1,
    "swim_server.detection": 1,
    "swim_server.keys.format": 1,
    "swim_server.keys.records": 1,
    "swim_server.keys.permissions": 1,
    "swim_server.config": 2,
    "swim_server.metrics": 2,
    "swim_server.logs": 2,
    "swim_server.streaming": 3,
    "swim_server.brokers": 3,
    "swim_server.sources": 4,
    "swim_server.gateway": 4,
    "swim_server.keys": 4,
    "swim_server.daemon": 5,
    "swim_server": 0,
    "swimctl": 6,
    "swim_client": 0,
}
"""From the ground up. The longest name that fits counts; ``swim_server`` itself holds the version alone."""

ONLY: Mapping[str, tuple[str, ...]] = {
    "swim_server.config": ("swim_server.config", "swim_server.protocol", "swim_server.keys.format"),
    "swim_server.logs": ("swim_server.logs", "swim_server.protocol", "swim_server.keys.format"),
    "swim_server.metrics": ("swim_server.metrics", "swim_server.protocol", "swim_server.keys.format"),
    "swim_server.protocol": ("swim_server.protocol",),
    "swim_server.detection": ("swim_server.detection", "swim_server.protocol"),
    "swim_client": ("swim_client",),
    "swim_server": ("swim_server",),
    "swimctl": ("swimctl", "swim_server", "swim_client"),
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
    """Judge every import of the packages below their folders; type-only and lazy ones too."""
    found = []
    for package, root in roots.items():
        for file in sorted(root.rglob("*.py")):
            for each in imports_of(file, package, root):
                reason = _judge(each, stdlib)
                if reason is not None:
                    found.append(f"{each}: {reason}")
    return found


def imports_of(file: Path, package: str, root: Path) -> Iterator[Import]:
    """Read the imports of one file; ``from x import y`` names ``x.y`` where that is a module of ours."""
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
