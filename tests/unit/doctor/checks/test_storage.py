"""What doctor concludes about a disk that errs: from what the kernel says of the home's disk, and our own counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext, status_document

from swimctl.doctor.checks.host import storage
from swimctl.doctor.probes.kernel_log import devices_of, lines_about, read_kernel_log

HOME = "Buffer I/O error on dev vda, logical block 5, lost async page write"
VOLUME = "EXT4-fs error (device dm-0): ext4_journal_check_start:84: Detected aborted journal"
CONTROLLER = "ata1.00: failed command: READ FPDMA QUEUED"
STICK = "I/O error, dev sdb, sector 2048 op 0x0:(READ)"
NO_DEVICE = "critical medium error somewhere"


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """A made-up ``/sys/dev/block``: the device of this test's folder is a volume on one disk."""
    number = tmp_path.stat().st_dev
    disk = tmp_path / "sys" / "devices" / "pci0" / "ata1" / "block" / "vda"
    volume = tmp_path / "sys" / "devices" / "virtual" / "block" / "dm-0"
    (volume / "slaves").mkdir(parents=True)
    (disk / "vda2").mkdir(parents=True)
    (volume / "slaves" / "vda2").symlink_to(disk / "vda2")
    links = tmp_path / "sys" / "dev"
    links.mkdir()
    (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(volume)
    return links


def test_only_what_the_kernel_says_of_the_home_s_disk_counts(tmp_path: Path, devices: Path) -> None:
    found = devices_of(tmp_path, devices)
    assert found is not None
    assert lines_about([HOME, VOLUME, CONTROLLER, STICK, NO_DEVICE], found) == [HOME, VOLUME, CONTROLLER, NO_DEVICE]


def test_where_the_disk_is_not_known_all_lines_count(tmp_path: Path) -> None:
    assert devices_of(tmp_path, tmp_path / "nothing") is None
    assert lines_about([HOME, STICK], None) == [HOME, STICK]


@pytest.mark.parametrize(
    "text",
    [
        HOME,
        VOLUME,
        CONTROLLER,
        STICK,
        "EXT4-fs (vda): Remounting filesystem read-only",
        "XFS (dm-0): metadata I/O error",
    ],
)
def test_lines_about_errors_are_found_in_the_kernel_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "kmsg").write_text(f"3,1024,5100000,-;{text}\n SUBSYSTEM=block\n")
    assert read_kernel_log(tmp_path / "kmsg") == ([text], True)


def test_other_lines_are_no_errors_and_a_log_that_can_not_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_text("6,1,0,-;EXT4-fs (vda): mounted filesystem r/w with ordered data mode\n")
    assert read_kernel_log(tmp_path / "kmsg") == ([], True)
    assert read_kernel_log(tmp_path / "none") == ([], False)


@pytest.mark.parametrize(("lines", "failures", "status"), [([], 0, "ok"), ([NO_DEVICE], 0, "fail"), ([], 3, "warn")])
async def test_kernel_and_daemon_both_tell_of_a_disk_that_errs(
    context: FakeContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    failures: int,
    status: str,
) -> None:
    log = tmp_path / "kmsg"
    log.write_text("".join(f"3,1,0,-;{line}\n" for line in lines))
    monkeypatch.setattr(storage, "KERNEL_LOG", log)
    context.answers["status"] = status_document(history={"failures": failures})
    answer = await storage.disk_does_not_err(context)
    assert answer.status == status
    assert (f"{failures} failed commits" in (answer.observed or "")) == (status != "fail")


@pytest.mark.parametrize(
    ("history", "status", "observed"),
    [
        ({}, "ok", "not checked completely yet"),
        ({"checked_at": 1.0}, "ok", "read through"),
        ({"writing_problem": "disk I/O error"}, "fail", "disk I/O error"),
        ({"corrupt_ranges": 2}, "fail", "2 ranges"),
        ({"damaged_files": ["history.db.damaged-1", "history.db.damaged-2"]}, "warn", "history.db.damaged-1"),
    ],
    ids=["young", "checked", "trouble", "rotten", "set-aside"],
)
async def test_history_is_judged_by_what_it_knows_of_itself(
    context: FakeContext, history: dict[str, Any], status: str, observed: str
) -> None:
    context.answers["status"] = status_document(history=history)
    answer = await storage.history_is_sound(context)
    assert (answer.status, observed in (answer.observed or "")) == (status, True)


@pytest.mark.parametrize(("waiting", "status"), [([], "ok"), ([7, 8], "fail")])
async def test_keys_that_are_ended_in_memory_alone_are_named(
    context: FakeContext, waiting: list[int], status: str
) -> None:
    context.answers["status"] = status_document(keys={"not_stored": waiting})
    answer = await storage.endings_are_stored(context)
    assert answer.status == status
    assert all(str(key) in (answer.observed or "") for key in waiting)
