"""The fingerprint of the code."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import swim_server
from swim_server.daemon import fingerprint as module
from swim_server.daemon.fingerprint import check_syntax, take_fingerprint


def test_fingerprint_names_every_source_file_of_both_packages() -> None:
    taken = take_fingerprint()
    assert len(taken.digest) == 12
    assert {name.split("/")[0] for name in taken.files} == {"swim_server", "swimctl"}
    own = Path(swim_server.__path__[0]) / "daemon/fingerprint.py"
    assert taken.files["swim_server/daemon/fingerprint.py"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert take_fingerprint() == taken


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one module, in the place of both."""
    package = tmp_path / "package_under_test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "late.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGES", ("package_under_test", "a_package_that_is_not_installed"))
    return package


def test_any_change_of_any_file_changes_the_digest(code: Path) -> None:
    digests = {take_fingerprint().digest}
    (code / "late.py").write_text("x = 2\n")
    digests.add(take_fingerprint().digest)
    (code / "late.py").rename(code / "later.py")
    digests.add(take_fingerprint().digest)
    (code / "data.txt").touch()
    digests.add(take_fingerprint().digest)
    assert len(digests) == 3


def test_error_in_a_file_that_is_not_imported_yet_is_found_with_its_line(code: Path) -> None:
    check_syntax()
    (code / "late.py").write_text("x = 1\ny = (\n")
    with pytest.raises(SyntaxError) as caught:
        check_syntax()
    assert caught.value.filename == str(code / "late.py")
    assert caught.value.lineno == 2
