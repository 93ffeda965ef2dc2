"""The one file in which a source keeps what it must know after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

State = TypeVar("State", bound=msgspec.Struct)


class StateFile(Generic[State]):
    """Reads and replaces the file. Blocks; without a path it keeps nothing."""

    def __init__(self, path: Path | None, state_type: type[State]) -> None:
        self.path = path
        self.fault: str | None = None
        """What was wrong with the file when it was last read, and where it is now."""
        self._state_type = state_type

    def load(self) -> State | None:
        """Read the state; None when there is none, or none that can be used: that file is moved aside."""
        self.fault = None
        if self.path is None:
            return None
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=self._state_type)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            aside = self.path.with_name(self.path.name + ".broken")
            self.path.replace(aside)
            self.fault = f"{self.path.name} holds no state ({error}); moved aside to {aside}, beginning anew"
            return None

    def save(self, state: State) -> None:
        """Replace the state in one step: whoever reads, after a kill too, finds the old or the new one, whole."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(self.path.name + ".new")
        unfinished.write_bytes(msgspec.json.encode(state))
        unfinished.replace(self.path)
