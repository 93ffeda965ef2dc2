"""Identifies the program behind a command, so that the daemon can start exactly that one in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from swim_server.daemon.fingerprint import take_fingerprint

INSTALLED_IN = frozenset({"site-packages", "dist-packages"})
"""Folders on Python's default path."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program on disk: how it is started, and what it must report about itself then."""

    executable: str
    folders: list[str] = []
    """The folders of its packages for ``PYTHONPATH``, unless its Python searches them anyway."""
    root: str
    """The folder that contains ``swimctl``."""
    version: str
    fingerprint: str

    @classmethod
    def of_this_process(cls) -> Program:
        """Describe the code on disk that this process was imported from. Reads every source file: some 20 ms."""
        found = take_fingerprint()
        parents = dict.fromkeys(str(Path(root).parent) for root in found.roots.values())
        return cls(
            executable=sys.executable,
            folders=[each for each in parents if Path(each).name not in INSTALLED_IN],
            root=found.roots.get("swimctl", ""),
            version=found.version,
            fingerprint=found.digest,
        )

    @property
    def words(self) -> list[str]:
        """Return the command that starts it."""
        return [self.executable, "-P", "-m", "swimctl"]

    def environ(self) -> dict[str, str]:
        """Return the variables that it needs besides this process's environment."""
        known = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        wanted = [*self.folders, *(each for each in known if each not in self.folders)]
        return {"PYTHONPATH": os.pathsep.join(wanted)} if self.folders else {}

    def check(self) -> None:
        """Check that it exists. Raises FileNotFoundError for what does not."""
        for path in (self.executable, self.root):
            if not Path(path).exists():
                raise FileNotFoundError(2, "it is not there", path)

    def __str__(self) -> str:
        return f"version {self.version}, fingerprint {self.fingerprint}, from {self.root}"
