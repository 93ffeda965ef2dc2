"""Rows of the key table as records: what was altered outside of our commands, or ended elsewhere, is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.concurrency.clock import Clock, utc_now
from swim_server.keys.integrity.row_seal import Alteration, judge
from swim_server.keys.permissions import refusal
from swim_server.keys.records import KeyRecord
from swim_server.keys.rows import record_of

if TYPE_CHECKING:
    from datetime import datetime

    from swim_server.keys.integrity.ended_keys import EndedKeys

Row = Mapping[str, Any]
"""A row of the table by column, with the newest lines of its audit trail where its seal is broken."""
ALTERATION, AUDIT = "alteration", "audit of an altered row"
"""The entries of a row beside its columns."""
AUDITED_LINES = 50
"""How many lines are read of an altered row's audit trail: refused connections stand among its changes."""
Tell = Callable[[KeyRecord, str, str | None], None]
"""Told of a record that was refused or altered: what happened, and the next step if it is an unusual one."""


def believed_record(row: Row, ended: EndedKeys | None, clock: Clock, tell: Tell) -> KeyRecord:
    """Return what a row says, refused if it was altered outside of our commands. ``ended``: when other keys ended."""
    record, found, now = record_of(row), row[ALTERATION], utc_now(clock)
    if found is Alteration.MISDIRECTED:
        record = msgspec.structs.replace(record, is_altered=True, is_active=False)
        what = "the key database's index is damaged: it leads from a key, which is refused, to the row of another"
        tell(record, what, 'restore a backup, or stop the service and run: sqlite3 swim.db "REINDEX"')
    elif found is not None:
        record = judge(record, next(iter(row[AUDIT]), None), now)
        if _is_ended_elsewhere(ended, record, now):
            record = msgspec.structs.replace(record, is_active=False)
        tell(record, "a key's row is not as our last change left it: damaged, or changed by hand", None)
    elif _is_ended_elsewhere(ended, record, now):
        record = msgspec.structs.replace(record, is_altered=True, is_active=False)
        what = "a key is good in the key database though it was ended: an older copy was put back, or the clock is"
        tell(record, f"{what} behind", None)
    return record


def _is_ended_elsewhere(ended: EndedKeys | None, record: KeyRecord, now: datetime) -> bool:
    """Tell whether a key that its row says is good had ended according to the record beside the database."""
    return ended is not None and refusal(record, now) is None and ended.is_ended(record, now)


def log_altered(record: KeyRecord, what: str, next_step: str | None) -> None:
    """Log it, with the next step."""
    from swim_server.logs import get_logger  # slow to import, and seldom needed

    step = next_step or f"swimctl keys accept {record.id}"
    get_logger("keys").error(what, key_id=record.id, refused=not record.is_active, next_step=step)
