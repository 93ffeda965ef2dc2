"""How many worker processes ``auto`` means: as many as the processors that this process may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from swim_server.config import Config
from swim_server.config.settings import ServerConfig
from swim_server.daemon.workers.choice import worker_count
from swim_server.daemon.workers.processors import processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processors a process may use")
AUTO = Config(server=ServerConfig(workers="auto"))


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Let this process run on one processor alone, as ``taskset -c`` does."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def group(folder: Path, line: str, files: dict[str, str]) -> dict[str, Path]:
    """Write what the kernel shows of a control group."""
    groups = folder / "cgroup"
    groups.write_text(f"{line}\n", "ascii")
    for name, text in files.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", "ascii")
    return {"groups": groups, "root": folder / "root"}


def test_one_processor_means_one_process(one_processor: None) -> None:
    assert processors() == 1
    assert worker_count(AUTO) == 0


def test_a_number_is_taken_as_it_is(one_processor: None) -> None:
    assert [worker_count(Config(server=ServerConfig(workers=number))) for number in (1, 2, 3)] == [0, 2, 3]


@pytest.mark.parametrize(
    ("quota", "expected"), [("100000 100000", 1), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", None)]
)
def test_quota_of_a_container_counts(tmp_path: Path, quota: str, expected: int | None) -> None:
    assert processors(**group(tmp_path, "0::/", {"cpu.max": quota})) == (expected or len(os.sched_getaffinity(0)))


def test_quota_of_a_group_further_up_counts(tmp_path: Path) -> None:
    files = {"system.slice/swim.service/cpu.max": "max 100000", "system.slice/cpu.max": "100000 100000"}
    assert processors(**group(tmp_path, "0::/system.slice/swim.service", files)) == 1


def test_quota_of_the_first_version_of_control_groups_counts(tmp_path: Path) -> None:
    files = {"cpu/swim/cpu.cfs_quota_us": "100000", "cpu/swim/cpu.cfs_period_us": "100000"}
    assert processors(**group(tmp_path, "3:cpu,cpuacct:/swim", files)) == 1
    files = {"cpu/swim/cpu.cfs_quota_us": "-1", "cpu/swim/cpu.cfs_period_us": "100000"}
    assert processors(**group(tmp_path, "3:cpu,cpuacct:/swim", files)) == len(os.sched_getaffinity(0))


def test_without_control_groups_all_processors_count(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert processors(groups=nowhere, root=nowhere) == len(os.sched_getaffinity(0))
