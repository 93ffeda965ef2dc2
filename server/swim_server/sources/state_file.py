"""The file in which a source keeps what it must know after a restart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

import msgspec

from swim_server.files.installation import read_installation
from swim_server.files.opening import open_to_read
from swim_server.files.replacing import replace_durably
from swim_server.logs import get_logger

_SEAL = re.compile(rb',?"crc32":"([^"]*)"\}\Z')
"""The last field of the object; earlier versions ignore it."""
_log = get_logger("sources")
State = TypeVar("State", bound=msgspec.Struct)


class StateFile(Generic[State]):
    """Reads and replaces the file. Blocks; without a path it keeps nothing.

    It is in a folder of a home and names that installation: positions in another one's files mean nothing here.
    """

    def __init__(self, path: Path | None, state_type: type[State]) -> None:
        self.path = path
        self.fault: str | None = None
        """What was wrong with the file at the last read, and where it is now."""
        self._state_type = state_type

    def load(self) -> State | None:
        """Read the state; None if there is none, or one that can't be used here, which is moved aside.

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
            state = _unsealed(content)
            self._check_owner(msgspec.json.decode(state, type=_Owned).installation)
            return msgspec.json.decode(state, type=self._state_type)
        except (msgspec.DecodeError, UnicodeDecodeError, _BadSeal, _Foreign) as error:
            aside = self._aside()
            self.path.replace(aside)
            reason = str(error) if isinstance(error, _Foreign) else f"is not a state file ({error})"
            self.fault = f"{self.path.name} {reason}; moved aside to {aside}, starting afresh"
            return None

    def _check_owner(self, installation: str | None) -> None:
        """Refuse the state of another installation. Raises _Foreign, OSError."""
        assert self.path is not None
        here = self._installation()
        if installation is None and here is not None:
            _log.info("a state file of an earlier version: not checked to be of this installation", file=self.path.name)
        elif here is not None and installation != here:
            raise _Foreign("belongs to another installation")

    def _installation(self) -> str | None:
        """Return the installation whose home contains the file; None outside of a home."""
        assert self.path is not None
        return read_installation(self.path.parent.parent)

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
        encoded, installation = msgspec.json.encode(state), self._installation()
        if installation is not None:
            encoded = _with_field(encoded, b'"installation":"%b"' % installation.encode())
        replace_durably(self.path, _with_field(encoded, b'"crc32":"%08x"' % crc32(encoded)))


class _Owned(msgspec.Struct):
    """What every state has besides its own fields."""

    installation: str | None = None


class _BadSeal(ValueError):
    """The state does not match its checksum."""


class _Foreign(ValueError):
    """The state isn't of this installation."""


def _with_field(document: bytes, field: bytes) -> bytes:
    """Add a field to an object, as its last one."""
    comma = b"" if document == b"{}" else b","
    return b"%b%b%b}" % (document[:-1], comma, field)


def _unsealed(content: bytes) -> bytes:
    """Remove the checksum; a state of an earlier version has none and is accepted. Raises _BadSeal."""
    seal = _SEAL.search(content)
    if seal is None:
        return content
    state = content[: seal.start()] + b"}"
    if seal[1] != b"%08x" % crc32(state):
        raise _BadSeal("its checksum does not fit")
    return state
