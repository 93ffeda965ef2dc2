"""Prepared statements that outlive one call: repeated queries cost one round trip, not two.

ODBC drivers prepare a cursor's statement in the round trip of its first execution, and take another one to discard it
when the cursor is closed. So the cursor of a statement that will be repeated is kept with its connection.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event

PREPARED = "swim_prepared"
"""The option of a statement that will be repeated with other values. Its parameters must be texts and integers."""
MAX_KEPT = 12
"""Statements per connection: lookups of one key, two, up to four, and so on, and reads by id."""
PREPARED_IS_GONE = 8179
"""SQL Server no longer knows the prepared statement: something in between has reset the session."""
_KEPT = "swim_kept_cursors"


def keep_prepared(engine: Engine) -> None:
    """Make an engine keep the cursors of statements with the option ``PREPARED``."""
    event.listen(engine, "do_execute", _execute)


def padded(values: Sequence[object], most: int) -> list[Any]:
    """Repeat the last value until the length is a power of two, or ``most``, to limit the number of statements."""
    count = len(values)
    wanted = max(count, min(most, 1 << (count - 1).bit_length())) if count else 0
    return [*values, *[values[-1]] * (wanted - count)] if count else []


class _KeptCursor:
    """A cursor that SQLAlchemy closes after each result without discarding its statement."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def close(self) -> None:
        """Do nothing: its rows have been read."""

    def discard(self, error_type: type[Exception]) -> None:
        """Close it for good. That fails on a lost connection, which is fine."""
        with suppress(error_type):
            self._cursor.close()


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    """Execute with the cursor kept for the statement. None: SQLAlchemy executes as usual."""
    if not context.execution_options.get(PREPARED):
        return None
    error_type = context.dialect.loaded_dbapi.Error
    kept: OrderedDict[str, _KeptCursor] = context.root_connection.info.setdefault(_KEPT, OrderedDict())
    known = kept.pop(statement, None)
    try:
        used = known or _KeptCursor(cursor.connection.cursor())
        used.execute(statement, parameters)
    except error_type as error:
        if known is not None:
            known.discard(error_type)
        if known is None or not _is_gone(error):
            raise
        used = _KeptCursor(cursor.connection.cursor())
        used.execute(statement, parameters)
    kept[statement] = used
    if len(kept) > MAX_KEPT:
        kept.popitem(last=False)[1].discard(error_type)
    context.cursor = used
    return True


def _is_gone(error: Exception) -> bool:
    return f"({PREPARED_IS_GONE})" in " ".join(str(part) for part in error.args)
