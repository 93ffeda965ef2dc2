"""The kernel's messages about disk errors, and the disks under a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

KERNEL_LOG = Path("/dev/kmsg")
BLOCK_DEVICES = Path("/sys/dev/block")
MAX_LINES = 50_000
_ERRS = re.compile(
    r"I/O error|critical (medium|target) error|Buffer I/O|EXT4-fs error|XFS .*(error|corrupt)|BTRFS (error|critical)|"
    r"nvme.*(timeout|reset)|ata\d+.*(failed command|exception)|Remounting filesystem read-only",
    re.IGNORECASE,
)
_WORDS = (b"error", b"timeout", b"reset", b"failed", b"exception", b"corrupt", b"critical", b"read-only")
"""One of these is in every line that ``_ERRS`` finds."""
_NAMES = re.compile(
    r"\b(?:(?:[shv]d|xvd)[a-z]+\d*|nvme\d+(?:n\d+(?:p\d+)?)?|mmcblk\d+(?:p\d+)?|"
    r"(?:loop|dm-|md|nbd|sr|zram|ram|ata)\d+)\b"
)


def read_kernel_log(path: Path) -> tuple[list[str], bool]:
    """Return the lines about disk errors, and whether the log could be read. Blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return [], False
    records: list[bytes] = []
    try:
        for _ in range(MAX_LINES):
            try:
                record = os.read(descriptor, 8192)
            except BrokenPipeError:
                continue  # overwritten before it was read: the next one
            except BlockingIOError:
                break
            if not record:
                break
            records.append(record)
    except OSError:
        found = _about_errors(records)
        return found, bool(found)
    finally:
        os.close(descriptor)
    return _about_errors(records), True


def _about_errors(records: Sequence[bytes]) -> list[str]:
    """Return the texts of the records about disk errors, most often none of thousands."""
    everything = b"".join(records).lower()
    words = [word for word in _WORDS if word in everything]
    found = []
    for record in records if words else ():
        small = record.lower()
        for word in words:
            if word in small:
                text = record.decode("utf-8", "replace").partition(";")[2].partition("\n")[0]
                if _ERRS.search(text):
                    found.append(text)
                break
    return found


def devices_of(path: Path, devices: Path = BLOCK_DEVICES) -> frozenset[str] | None:
    """Return the devices under a file: partition, disk, controller, and those under a volume. Blocks.

    None if the file system doesn't say: one in memory, over a network, or across several disks.
    """
    try:
        number = path.stat().st_dev
    except OSError:
        return None
    return _names(devices / f"{os.major(number)}:{os.minor(number)}") or None


def lines_about(lines: Iterable[str], devices: frozenset[str] | None) -> list[str]:
    """Return the lines without those that name other devices; with None, all lines."""
    return [line for line in lines if devices is None or not (named := set(_NAMES.findall(line))) or named & devices]


def _names(link: Path) -> frozenset[str]:
    """Return the names in a device's path, and those of the devices it consists of."""
    try:
        found = link.resolve(strict=True)
        below = list(found.glob("slaves/*"))
    except OSError:
        return frozenset()
    return frozenset(found.parts).union(*map(_names, below))
