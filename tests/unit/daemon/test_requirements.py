"""Versions of installed packages are what ``importlib.metadata`` says, without reading all of their metadata."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from swim_server.daemon.requirements import dist_info_folders, installed_versions, requirements, versions_of


def test_every_required_package_has_the_version_that_its_metadata_names() -> None:
    found = installed_versions()
    assert len(found) > 10
    assert found == {name: metadata.version(name) for name in found}
    assert len(dist_info_folders(found)) == len(found)
    assert all(any(text.lower().startswith(name) for text in requirements()) for name in found)


@pytest.mark.parametrize("folder", ["Some_Package-1.0.dist-info", "some.package-1.0.dist-info"])
def test_version_is_the_metadata_s_whatever_its_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / folder).mkdir()
    text = "Metadata-Version: 2.1\nName: some.package\nVersion: 2.0\n\nVersion: 3.0\n"
    (tmp_path / folder / "METADATA").write_text(text, "utf-8")
    assert (
        versions_of(["some.PACKAGE"]) == {"some.PACKAGE": metadata.version("some-package")} == {"some.PACKAGE": "2.0"}
    )


def test_package_that_is_not_installed_has_no_version() -> None:
    assert versions_of(["no-such-package-at-all"]) == {}
