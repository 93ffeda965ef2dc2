"""Real power cuts: an ext4 file system on a loop device, shut down without flushing its journal, mounted again."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from support.disk import home_files
from support.disk.forked_daemon import BootId, ForkedDaemon
from support.disk.judge import Judge
from support.disk.judgement import Judgement
from support.disk.ledger import KnownKey, Ledger, content
from support.disk.wire import Wire
from support.mounts import NoMount, mount, unmount

DISK_BYTES = 96 * 1024 * 1024
LONGEST_SECONDS, NOTICED_SECONDS = 1.5, 2.0
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH


class CutDisk:
    """One small file system, recreated for each cut."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder
        self._file = folder / "disk"
        self.mounted = folder / "mounted"
        self.mounted.mkdir(exist_ok=True)

    def format(self) -> None:
        """Create it and mount it. Raises NoMount."""
        self._file.unlink(missing_ok=True)
        with self._file.open("wb") as file:
            file.truncate(DISK_BYTES)
        _make_file_system(self._file)
        self.mount()

    def mount(self) -> None:
        """Mount it, replaying its journal. Raises NoMount."""
        mount(self.mounted, "-o", "loop,commit=1", str(self._file))

    def cut(self) -> None:
        """Cut the power: nothing more reaches the disk."""
        descriptor = os.open(self.mounted, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount it."""
        unmount(self.mounted, is_lazy=False)


@contextmanager
def cut_disk(folder: Path) -> Iterator[CutDisk]:
    """Provide a disk that is unmounted at the end in any case."""
    disk = CutDisk(folder)
    try:
        yield disk
    finally:
        if disk.mounted.is_mount():
            unmount(disk.mounted)


def real_cut(
    disk: CutDisk, boot: BootId, port: int, synchronous: str, seed: int, *, is_same_boot: bool = False
) -> Judgement:
    """Run, cut, start again, judge. ``is_same_boot``: the disk alone goes, and comes again. Raises NoMount."""
    rng = random.Random(seed)
    disk.format()
    root = disk.mounted / "root"
    home_files.make_folders(root)
    home_files.write_config(root, port, synchronous)
    daemon = ForkedDaemon(root, port, disk.notes)
    ledger = Ledger()
    try:
        daemon.start()
        listener_key = _create_key(daemon, ledger, "system")
        control = Wire.control(daemon.control_socket)
        _publish(control, ledger, ["baseline-0"])
        home_files.sync_file_system(disk.mounted)
        _traffic(daemon, control, ledger, rng)
        disk.cut()
        if is_same_boot:
            _await_trouble(control)
            daemon.end(signal.SIGTERM)
    finally:
        daemon.kill()
    control.close()
    disk.unmount()
    disk.mount()
    if not is_same_boot:
        boot.renew()
    try:
        judgement = Judge(daemon, ledger, rng).judge(listener_key, ledger.acknowledged["baseline-0"])
    finally:
        daemon.close()
        disk.unmount()
    return judgement


def _await_trouble(control: Wire) -> None:
    """Wait until the daemon has met its disk's trouble, as it does within moments where anything is to be written."""
    deadline = time.monotonic() + NOTICED_SECONDS
    while time.monotonic() < deadline and control.call("status", {})["history"]["writing_problem"] is None:
        time.sleep(0.05)


def _traffic(daemon: ForkedDaemon, control: Wire, ledger: Ledger, rng: random.Random) -> None:
    """Publish, provide files and change keys for a random time; whatever has returned is in the ledger."""
    number, end = 0, time.monotonic() + rng.uniform(0.05, LONGEST_SECONDS)
    key_time = time.monotonic() + rng.uniform(0, LONGEST_SECONDS)
    while time.monotonic() < end:
        number += 1
        _publish(control, ledger, [f"event-{number}-{index}" for index in range(rng.randint(1, 8))])
        if number % 10 == 0:
            names = [f"drop-{number}-{index}" for index in range(rng.randint(1, 30))]
            ledger.sent.update(names)
            rows = [{"type": "flight.arrived", "data": content(name)} for name in names]
            home_files.put_in_drop_folder(daemon.root, f"batch-{number}", rows, home_files.sync)
            ledger.given.update(dict.fromkeys(names, "drop folder"))
        if time.monotonic() > key_time:
            key_time = end
            _create_key(daemon, ledger)
            last = max(ledger.keys, key=int)
            daemon.run(["keys", "revoke", last, "--yes"])
            ledger.keys[last].is_good = False
        time.sleep(rng.uniform(0, 0.02))


def _publish(control: Wire, ledger: Ledger, names: list[str]) -> None:
    ledger.sent.update(names)
    answers = control.publish([{"type": "flight.departed", "data": content(name), "event_id": name} for name in names])
    ledger.acknowledged.update({name: answer["id"] for name, answer in zip(names, answers, strict=True)})


def _create_key(daemon: ForkedDaemon, ledger: Ledger, tier: str = "developer") -> str:
    _, output = daemon.run(["keys", "create", "--tier", tier, "--owner", "a cut", "--json"])
    made = msgspec.json.decode(next(line for line in output.splitlines() if line.startswith("{")))
    ledger.keys[str(made["id"])] = KnownKey(made["api_key"], is_good=True)
    return str(made["api_key"])


def _make_file_system(file: Path) -> None:
    try:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(file)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise NoMount("mkfs.ext4 is not installed: apt-get install e2fsprogs") from None
    except subprocess.CalledProcessError as error:
        raise NoMount(f"mkfs.ext4: {error.stderr.strip()}") from None
