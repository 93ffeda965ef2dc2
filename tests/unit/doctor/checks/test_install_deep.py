"""Bytecode that does not match its source, and edited packages: looked for with ``--deep``."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

import pytest

from swimctl.doctor.probes.packages.installed_packages import look_at_bytecode, look_at_packages


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "package" / "module.py"
    path.parent.mkdir()
    path.write_text("def answer() -> int:\n    return 42\n", "utf-8")
    py_compile.compile(str(path), doraise=True)
    return path


def test_bytecode_of_its_source_is_well_wherever_it_was_compiled(source: Path) -> None:
    assert look_at_bytecode({"package": str(source.parent)}) == []
    moved = source.parent.rename(source.parent.with_name("moved"))
    assert look_at_bytecode({"package": str(moved)}) == []


def test_source_changed_with_the_time_and_length_that_it_had_is_told(source: Path) -> None:
    before = source.stat()
    source.write_text("def answer() -> int:\n    return 43\n", "utf-8")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look_at_bytecode({"package": str(source.parent)}) == ["package/module.py"]


def test_bytecode_that_python_would_not_use_is_nobodys_concern(source: Path) -> None:
    source.write_text("def answer() -> int:\n    return 4_000\n", "utf-8")
    assert look_at_bytecode({"package": str(source.parent)}) == []


def test_file_of_a_package_that_was_edited_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole.py").write_text("", "utf-8")
    (tmp_path / "edited.py").write_text("# edited\n", "utf-8")
    folder = tmp_path / "a_package_of_the_test-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package-of-the-test\nVersion: 1.0\n", "utf-8")
    empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    (folder / "RECORD").write_text("".join(f"{name}.py,{empty},0\n" for name in ("whole", "edited", "gone")), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = look_at_packages(["a-package-of-the-test", "a-package-that-nobody-has"])
    assert found == {"a-package-of-the-test": ["edited.py: changed", "gone.py: missing"]}
