"""The layers hold in the code as it is, and the check fails on a tree that breaks them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.imports import LAYERS, MAX_MODULES, circles, crowded_folders, imports_of, violations

ROOT = Path(__file__).parents[2]
ROOTS = {
    "swim_server": ROOT / "server" / "swim_server",
    "swim_client": ROOT / "sdk" / "python" / "swim_client",
    "swim_conformance": ROOT / "sdk" / "conformance" / "swim_conformance",
    "swimctl": ROOT / "swimctl",
}
STDLIB = frozenset(sys.stdlib_module_names)


def judge(tmp_path: Path, file: str, code: str) -> list[str]:
    """Judge one file of a made-up tree."""
    package, _, rest = file.partition("/")
    path = tmp_path / package / rest
    path.parent.mkdir(parents=True)
    path.write_text(code, "utf-8")
    return violations({package: tmp_path / package}, STDLIB)


def test_no_import_goes_up() -> None:
    assert violations(ROOTS, STDLIB) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(ROOTS) == []


def test_no_folder_is_crowded() -> None:
    assert crowded_folders(ROOTS) == []


def test_every_folder_of_the_service_has_its_layer() -> None:
    folders = {path.stem for path in ROOTS["swim_server"].iterdir() if path.suffix == ".py" or path.is_dir()}
    folders -= {"__init__", "__pycache__"}
    assert {f"swim_server.{folder}" for folder in folders} <= LAYERS.keys()


def write_tree(root: Path, files: dict[str, str]) -> dict[str, Path]:
    """Write a made-up package ``swim_server``; each file's name with its code."""
    for name, code in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, "utf-8")
    return {"swim_server": root}


@pytest.mark.parametrize(
    "code",
    [
        "from swim_server.a.two import X",
        "import swim_server.a.two",
        "def f():\n    from swim_server.a import two",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from swim_server.a.two import X",
        "from .two import X",
    ],
    ids=["plain", "module", "lazy", "type-only", "relative"],
)
def test_circle_is_found_however_it_is_imported(tmp_path: Path, code: str) -> None:
    roots = write_tree(
        tmp_path,
        {"a/one.py": code, "a/two.py": "from swim_server.b import three", "b/three.py": "import swim_server.a.one"},
    )
    assert circles(roots) == [["swim_server.a.one", "swim_server.a.two", "swim_server.b.three"]]


def test_chain_without_a_way_back_is_no_circle(tmp_path: Path) -> None:
    roots = write_tree(
        tmp_path, {"a/one.py": "from .two import X", "a/two.py": "from swim_server.b import three", "b/three.py": ""}
    )
    assert circles(roots) == []


def test_crowded_folder_is_found(tmp_path: Path) -> None:
    files = {f"a/m{number}.py": "" for number in range(MAX_MODULES + 1)}
    assert crowded_folders(write_tree(tmp_path, files)) == [f"swim_server.a: {MAX_MODULES + 1} modules"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("swim_server/protocol/x.py", "from swim_server.streaming.hub import Hub"),
        ("swim_server/protocol/x.py", "import swim_server.config"),
        ("swim_server/protocol/x.py", "from swim_server.keys.format import Tier"),
        ("swim_server/protocol/x.py", "import asyncio"),
        ("swim_server/protocol/x.py", "from time import monotonic"),
        ("swim_server/protocol/x.py", "from pathlib import Path"),
        ("swim_server/detection/x.py", "import socket"),
        ("swim_server/detection/x.py", "from swim_server.sources import airports"),
        ("swim_server/keys/format.py", "import secrets"),
        ("swim_server/keys/format.py", "from swim_server.keys import store"),
        ("swim_server/keys/records.py", "from swim_server.keys.store import KeyStore"),
        ("swim_server/config/x.py", "from swim_server.keys.records import KeyRecord"),
        ("swim_server/config/x.py", "from swim_server.detection import network_state"),
        ("swim_server/logs.py", "from swim_server.streaming import hub"),
        ("swim_server/streaming/x.py", "from swim_server.gateway.endpoint import Endpoint"),
        ("swim_server/streaming/x.py", "import websockets.asyncio.client"),
        ("swim_server/streaming/x.py", "def f():\n    from swim_server.daemon.home import Home"),
        ("swim_server/brokers/x.py", "if TYPE_CHECKING:\n    from swim_server.sources.source import Source"),
        ("swim_server/brokers/x.py", "import http.client"),
        ("swim_server/gateway/x.py", "from swim_server import daemon"),
        ("swim_server/sources/x.py", "from ..daemon import service"),
        ("swim_server/sources/__init__.py", "from ..daemon.service import Service"),
        ("swim_server/daemon/x.py", "import swimctl.app"),
        ("swim_server/daemon/x.py", "from swim_client import SWIMClient"),
        ("swim_client/x.py", "from swim_server.protocol import channels"),
        ("swim_client/x.py", "import swimctl"),
        ("swimctl/x.py", "import swim_client"),
        ("swim_client/x.py", "import msgspec"),
    ],
)
def test_import_that_breaks_a_layer_is_found(tmp_path: Path, file: str, code: str) -> None:
    found = judge(tmp_path, file, code)
    assert len(found) >= 1
    assert f"{file.rpartition('/')[2]}:" in found[0]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("swim_server/protocol/x.py", "import re, msgspec\nfrom swim_server.protocol.codes import ErrorCode"),
        ("swim_server/keys/records.py", "from swim_server.keys.format import Tier"),
        ("swim_server/config/x.py", "from pathlib import Path\nfrom swim_server.protocol.channels import Catalogue"),
        ("swim_server/streaming/x.py", "import asyncio\nfrom swim_server.brokers.broker import Broker"),
        ("swim_server/streaming/x.py", "from swim_server.keys.records import KeyRecord"),
        ("swim_server/gateway/x.py", "import websockets\nfrom swim_server.keys.authenticator import Authenticator"),
        ("swim_server/sources/x.py", "from .source import Source\nfrom ..detection import network_state"),
        ("swim_server/daemon/x.py", "from swim_server.gateway import registry\nfrom swim_server import __version__"),
        ("swimctl/x.py", "import typer\nfrom swim_server.daemon.home import Home"),
        ("swim_client/x.py", "import asyncio\nimport websockets\nfrom .events import Event"),
    ],
)
def test_import_that_keeps_to_the_layers_passes(tmp_path: Path, file: str, code: str) -> None:
    assert judge(tmp_path, file, code) == []


def test_relative_imports_are_resolved(tmp_path: Path) -> None:
    for name in ("__init__.py", "x.py"):
        (tmp_path / "a").mkdir(exist_ok=True)
        file = tmp_path / "a" / name
        file.write_text("from . import b\nfrom .c import d\nfrom .. import logs", "utf-8")
        found = {each.imported for each in imports_of(file, "swim_server", tmp_path)}
        assert found == {
            "swim_server.a", "swim_server.a.b", "swim_server.a.c", "swim_server.a.c.d", "swim_server",
            "swim_server.logs",
        }  # fmt: skip
