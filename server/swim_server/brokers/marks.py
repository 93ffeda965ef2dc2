"""What is stored beside history and outlives it: the mark after every commit, and the witness in the home."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from swim_server.brokers.history_mark import HistoryMark, Mark, Owner
from swim_server.brokers.origin import Found, Identity
from swim_server.brokers.witness import Witness, read_witness, write_witness
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.files.installation import read_installation, write_installation
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId

WITNESS_SECONDS = 60.0
LOOK_SECONDS = 1.0
_log = get_logger("broker")


class Marks:
    """Mark and witness of one open history. Blocks; belongs to the writer thread.

    If two processes have the history open, as in a restart, the one that opened it last owns the marks: the other
    leaves them alone when it closes.
    """

    def __init__(self, history: Path, *, writer: str, boot_id: str, mode: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._mark = HistoryMark(history.with_name(f"{history.stem}.mark"))
        self._witness_path = history.with_name(f"{history.stem}.witness")
        self._home = history.parent
        self._home_says: str | None = None
        self._writer = writer
        self._boot_id = boot_id
        self._mode = mode
        self._clock = clock
        self._owner: Owner | None = None
        self._witnessed = ZERO
        self._witness_at = 0.0
        self._look_at = 0.0
        self._is_writable = True

    def find(self, history: Identity | None, *, is_new: bool) -> Found:
        """Read mark and witness. Raises OSError if the disk can't read them."""
        try:
            mark, owner, is_doubtful = self._mark.read(), self._mark.read_owner(), self._mark.is_doubtful()
        except OSError as error:
            _raise_trouble(error)
            mark, owner, is_doubtful = None, None, False
        try:
            witness = read_witness(self._witness_path)
        except OSError as error:
            _raise_trouble(error)
            witness = None
        try:
            self._home_says = read_installation(self._home)
        except OSError as error:
            _raise_trouble(error)
        return Found(mark, owner, witness, history, is_new, is_doubtful, self._home_says)

    def has_mark(self) -> bool:
        """Tell whether there was a history here before. Raises OSError if the disk can't tell."""
        return self.find(None, is_new=False).mark is not None

    def begin(self, newest: EventId, identity: Identity) -> None:
        """Take ownership of the marks for a history just opened, and wait for the disk."""
        self._owner = Owner(self._writer, self._mode, identity.installation, identity.epoch)
        self._write(lambda owner: self._mark.write_through(self._made(newest), owner))
        self._bear_witness(newest, is_closed=False)
        if self._home_says != identity.installation:
            self._write(lambda owner: write_installation(self._home, owner.installation))

    def committed(self, newest: EventId) -> None:
        """Record the newest id."""
        self._write(lambda _: self._mark.write(self._made(newest)))

    def look_after(self, newest: EventId) -> None:
        """Restore the mark if an ended process of an earlier version overwrote it; update the witness now and then."""
        now = self._clock.monotonic()
        if now >= self._look_at and self._is_ours():
            self._look_at = now + LOOK_SECONDS
            mark = self._read()
            if mark is None or mark.is_clean:
                self._write(lambda owner: self._mark.write_through(self._made(newest), owner))
        if newest != self._witnessed and now >= self._witness_at and self._is_ours():
            self._bear_witness(newest, is_closed=False)

    def close(self, newest: EventId) -> None:
        """Record that history is closed and entirely on the disk, unless another process keeps using it."""
        mark = self._read()
        if self._is_ours() and (mark is None or mark.newest <= newest):
            self._write(lambda owner: self._mark.write_through(self._made(newest, is_clean=True), owner))
            self._bear_witness(newest, is_closed=True)
        self._mark.close()

    def _made(self, newest: EventId, *, is_clean: bool = False) -> Mark:
        return Mark(newest, self._boot_id, is_clean)

    def _is_ours(self) -> bool:
        try:
            owner = self._mark.read_owner()
        except OSError:
            return False
        return self._owner is not None and (owner is None or owner.writer == self._writer)

    def _read(self) -> Mark | None:
        try:
            return self._mark.read()
        except OSError:
            return None

    def _bear_witness(self, newest: EventId, *, is_closed: bool) -> None:
        self._witness_at = self._clock.monotonic() + WITNESS_SECONDS
        made = self._made(newest, is_clean=is_closed)

        def write(owner: Owner) -> None:
            write_witness(self._witness_path, Witness.of(made, owner))
            self._witnessed = newest

        self._write(write)

    def _write(self, write: Callable[[Owner], None]) -> None:
        if self._owner is None:
            return
        try:
            write(self._owner)
        except OSError as error:
            if self._is_writable:
                _log.warning("the mark beside history can't be written", path=str(self._mark.path), error=str(error))
            self._is_writable = False
        else:
            self._is_writable = True


def _raise_trouble(error: OSError) -> None:
    """Read a mark; raise if the disk can't, but treat a folder or a foreign file in its place as no mark."""
    if error.errno == errno.EIO:
        raise error
    _log.warning("the mark beside history can't be read", error=str(error))
