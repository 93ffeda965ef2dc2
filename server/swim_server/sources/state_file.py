"""The file in which a source keeps what it must know after a restart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

import msgspec

from swim_server.files.opening import open_to_read
from swim_server.files.replacing import replace_durably

_SEAL = re.compile(rb',?"crc32":"([^"]*)"\}\Z')
"""The last field of the object; earlier versions ignore it."""
State = TypeVar("State", bound=msgspec.Struct)


class StateFile(Generic[State]):
    """Reads and replaces the file. Blocks; without a path it keeps nothing."""

    def __init__(self, path: Path | None, state_type: type[State]) -> None:
        self.path = path
        self.fault: str | None = None
        """What was wrong with the file at the last read, and where it is now."""
        self._state_type = state_type

    def load(self) -> State | None:
        """Read the state; None if there is none, or an unusable one, which is moved aside.

        Raises OSError if the disk can't read it at the moment: that is no reason to start afresh.
        """
        self.fault = None
        if self.path is None:
            return None
        try:
            with open_to_read(self.path) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(_unsealed(content), type=self._state_type)
        except (msgspec.DecodeError, UnicodeDecodeError, _BadSeal) as error:
            aside = self._aside()
            self.path.replace(aside)
            self.fault = f"{self.path.name} is not a state file ({error}); moved aside to {aside}, starting afresh"
            return None

    def _aside(self) -> Path:
        """Return an unused name: what was moved aside before stays."""
        assert self.path is not None
        aside, number = self.path.with_name(f"{self.path.name}.broken"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.broken-{number}")
        return aside

    def save(self, state: State) -> None:
        """Replace the state atomically: readers find the old or the new one, complete, even after a kill."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(self.path, _sealed(msgspec.json.encode(state)))


class _BadSeal(ValueError):
    """The state does not match its checksum."""


def _sealed(state: bytes) -> bytes:
    """Add a checksum to an object."""
    comma = b"" if state == b"{}" else b","
    return b'%b%b"crc32":"%08x"}' % (state[:-1], comma, crc32(state))


def _unsealed(content: bytes) -> bytes:
    """Remove the checksum; a state of an earlier version has none and is accepted. Raises _BadSeal."""
    seal = _SEAL.search(content)
    if seal is None:
        return content
    state = content[: seal.start()] + b"}"
    if seal[1] != b"%08x" % crc32(state):
        raise _BadSeal("its checksum does not fit")
    return state
