"""What can go wrong with a database, by what the caller can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swim_server.errors import OperatorError


class StoreError(OperatorError):
    """The base of all errors of the key store. Its text never contains a key or a password."""


class StoreUnavailable(StoreError):
    """The database can't be queried at the moment; the same call may succeed later."""

    def __init__(self, reason: str, *, number: int | None = None, repeat_at_once: bool = False) -> None:
        self.reason = reason
        self.number = number
        """The server's error number, if it has one."""
        self.repeat_at_once = repeat_at_once
        """A pooled connection had died, or a deadlock chose us: the same call on another connection helps."""
        super().__init__(reason)

    @property
    def is_worth_waiting(self) -> bool:
        """Tell whether the server itself said that the same call may succeed later: a silent one may never recover."""
        return self.number is not None

    def __str__(self) -> str:
        return f"the key database can't be used at the moment: {self.reason}"


class OutcomeUnknown(StoreUnavailable):
    """The connection was lost while a change was being committed: it may or may not be stored."""

    @property
    def is_worth_waiting(self) -> bool:
        """Return False: it must not be retried."""
        return False

    def __str__(self) -> str:
        return (
            f"the key database went away while storing ({self.reason}): check with `swimctl keys list` before a retry"
        )


class StoreMisconfigured(StoreError):
    """The database refuses us, or can't be used as configured; an operator must act."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem, remedy)

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


class PermissionDenied(StoreMisconfigured):
    """The login may not do this; its other statements may well be allowed."""


class DatabaseAbsent(StoreMisconfigured):
    """There is no file yet, and reading does not create one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"there is no key database yet at {path}", "the first key creates it: swimctl keys create")


class SchemaMissing(StoreMisconfigured):
    """A table, or a column that the code can't do without, doesn't exist."""

    def __init__(self, table: str, columns: Sequence[str] = (), remedy: str = "run `swimctl db upgrade`") -> None:
        self.table = table
        self.columns = tuple(columns)
        missing = f"table {table}" if not columns else f"in table {table}: {', '.join(columns)}"
        super().__init__(f"missing in the key database: {missing}", remedy)


def outage(error: BaseException) -> str | None:
    """Return what an error says about the database itself: why it can't be used; None: nothing.

    The unknown outcome of one change says nothing about the next call.
    """
    if isinstance(error, OutcomeUnknown):
        return None
    if isinstance(error, StoreUnavailable):
        return error.reason
    return str(error) if isinstance(error, StoreMisconfigured) else None
