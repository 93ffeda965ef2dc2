"""The preloaded libraries: compiled on the spot, and the rules of the one that makes the disk fail."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent
RULES = 64
MAP_BYTES = 65_536
_TEXT = 8 * (1 + RULES)


class NoCompiler(Exception):
    """There is no C compiler."""

    def __str__(self) -> str:
        return "no C compiler found: apt-get install gcc libc6-dev"


def find_compiler() -> str | None:
    """Return this machine's C compiler."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compile_library(name: str, folder: Path) -> Path:
    """Compile ``recorder`` or ``faults`` into ``folder``; return the library's path. Raises NoCompiler."""
    compiler = find_compiler()
    if compiler is None:
        raise NoCompiler
    target = folder / f"{name}.so"
    if not target.exists():
        words = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(target)]
        subprocess.run([*words, str(FOLDER / f"{name}.c"), "-ldl", "-lpthread"], check=True)
    return target


class Rule(msgspec.Struct, frozen=True):
    """Which operation fails, where, how, and how often."""

    operations: str
    """Comma-separated: read, write, fsync, truncate, open, rename, unlink."""
    pattern: str
    """As fnmatch has it, over the whole path."""
    error: str
    """EIO, ENOSPC, EINTR, EROFS, or short."""
    share: float = 1.0


class FaultControl:
    """The file mapped by the preloaded library, MAP_BYTES long: rules change at run time, in all processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), MAP_BYTES)
        self._changes = 0

    def set(self, rules: Sequence[Rule]) -> None:
        """Apply these rules from now on; none: the disk works again. Counters restart."""
        lines = [f"{rule.operations} {rule.pattern} {rule.error} {round(rule.share * 1_000_000)}\n" for rule in rules]
        text = "".join(lines).encode() + b"\0"
        assert len(text) <= MAP_BYTES - _TEXT - 16 and len(rules) <= RULES, "too many rules"
        self._map[8:_TEXT] = bytes(_TEXT - 8)
        self._map[_TEXT : _TEXT + len(text)] = text
        self._changes += 1
        self._map[:8] = struct.pack("<Q", self._changes)

    def set_clock(self, seconds: int) -> None:
        """Let the machine's clock be ahead by so many seconds, or behind, in all processes at once."""
        self._map[-16:-8] = struct.pack("<q", seconds)

    @property
    def struck(self) -> int:
        """Return how many operations the rules have failed or shortened since they were set."""
        return sum(struct.unpack(f"<{RULES}Q", self._map[8:_TEXT]))

    def close(self) -> None:
        """Close the file."""
        self._map.close()
