"""The support bundle."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from swimctl.doctor.bundle import archive_kind, collect, write
from swimctl.doctor.report import Report
from swimctl.errors import WrongUsage
from swimctl.invocation import Invocation

CONTENTS = {"doctor.json": b"{}", "home/swim.log": b"a line\n"}
NOTHING = Report(subject="/home", results=(), seconds=0.1)


@pytest.mark.parametrize("name", ["help.tar.gz", "help.tgz", "help.zip"])
def test_archive_holds_everything_below_its_own_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, archive_kind(path), CONTENTS)
    if name.endswith("zip"):
        with zipfile.ZipFile(path) as packed:
            found = {each: packed.read(each) for each in packed.namelist()}
    else:
        with tarfile.open(path) as archive:
            found = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]  # the bundle holds files only
    assert found == {f"help/{each}": data for each, data in CONTENTS.items()}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["help", "help.rar", "help.gz", ".tar"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(WrongUsage, match="must end in"):
        archive_kind(Path(name))


def test_what_can_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write(tmp_path / "no" / "such" / "help.zip", "zip", CONTENTS)
    (tmp_path / "help.zip").mkdir()
    with pytest.raises(OSError):
        write(tmp_path / "help.zip", "zip", CONTENTS)
    assert [each.name for each in tmp_path.iterdir()] == ["help.zip"]


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[server\n",
        '[database]\npassword = "hunter-two"\nurl = "sqlite:///x.db"\n',
        '[databse]\npassword = "hunter-two"',
    ],
    ids=["none", "no-toml", "password", "password-and-typo"],
)
def test_bundle_of_a_broken_installation_says_what_it_can(tmp_path: Path, config: str) -> None:
    file = tmp_path / "swim.toml"
    file.write_text(config, "utf-8")
    invocation = Invocation(config_path=file, environ={"SWIM_HOME": str(tmp_path)})
    (tmp_path / "swim.log").write_bytes(b"\xff\xfe hunter-two swim_dev_0123456789\n" * 10_000)
    found = collect(invocation, NOTHING, None, {"SWIM_HOME": str(tmp_path), "SWIM_API_KEY": "s3cret", "PATH": "/bin"})
    assert {"doctor.json", "daemon/status.json", "config/effective.json", "home/swim.log"} <= set(found)
    everything = b"".join(found.values())
    assert b"s3cret" not in everything
    assert b"swim_dev_0123456789" not in everything
    assert b"PATH" not in found["environment.json"]
    assert len(found["home/swim.log"]) <= 300_000
    if "password" in config:
        assert b"hunter-two" not in everything
