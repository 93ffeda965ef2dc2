"""A database engine with its rules: transactions, faults and retries. Knows no table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError, IntegrityError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swim_server.sql.errors import OutcomeUnknown, StoreError, StoreMisconfigured, StoreUnavailable

T = TypeVar("T")
ONLY_READS = "swim_only_reads"
"""The execution option that tells the engine that no transaction is needed."""
Explain = Callable[[BaseException | None, bool], StoreError]
"""Converts a driver's error, on a connection used before or not, into what the caller can do about it."""
_MOST_REPEATS = 10
"""How often a call is retried at once: there are not more dead connections in the pool."""


class Repeat(Protocol):
    """Retries a call patiently while it fails for a temporary reason."""

    def __call__(self, attempt: Callable[[], T]) -> T: ...


class Database:
    """An engine and the meaning of its errors. Blocking and thread-safe."""

    def __init__(
        self, engine: Engine, explain: Explain, repeat: Repeat | None = None, *, is_read_only: bool = False
    ) -> None:
        self.engine = engine
        self.is_read_only = is_read_only
        """Nothing may be created or written."""
        self._explain = explain
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        """The driver's exceptions, which SQLAlchemy doesn't always wrap."""
        self._repeat = repeat
        """None: never wait."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` outside of a transaction. Raises StoreError."""
        return self._with_repeats(lambda: self._read_once(work))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction, committed when it returns. Raises StoreError.

        ``work`` may run more than once: what fails before the commit has no effect and can be retried. A commit that
        fails is not retried: OutcomeUnknown.
        """
        return self._with_repeats(lambda: self._write_once(work))

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    def _read_once(self, work: Callable[[Connection], T]) -> T:
        was_used = False
        try:
            with self.engine.connect() as connection:
                was_used = _mark_used(connection)
                connection.execution_options(**{ONLY_READS: True})
                return work(connection)
        except (DBAPIError, PoolTimeoutError, ResourceClosedError, self._driver_error) as error:
            raise self._translated(error, was_used) from error

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        was_used, is_committing = False, False
        try:
            with self.engine.connect() as connection:
                was_used = _mark_used(connection)
                transaction = connection.begin()
                try:
                    result = work(connection)
                    is_committing = True
                    transaction.commit()
                except BaseException as first:
                    self._roll_back(connection, transaction, first)
                    raise
                return result
        except IntegrityError as error:
            raise StoreMisconfigured("the key database refuses a row", _without_values(str(error.orig))) from error
        except (DBAPIError, PoolTimeoutError, ResourceClosedError, self._driver_error) as error:
            fault = self._translated(error, was_used)
            if is_committing and isinstance(fault, StoreUnavailable):
                raise OutcomeUnknown(fault.reason, number=fault.number) from error
            raise fault from error

    def _roll_back(self, connection: Connection, transaction: RootTransaction, first: BaseException) -> None:
        """Roll back. A failure means nothing: a trigger may have rolled back already, or the connection is gone."""
        try:
            transaction.rollback()
        except (DBAPIError, ResourceClosedError, self._driver_error):
            connection.invalidate(first)

    def _translated(self, error: Exception, was_used: bool) -> StoreError:
        if isinstance(error, PoolTimeoutError):
            return StoreUnavailable("all connections to it are busy")
        if isinstance(error, ResourceClosedError):  # SQLAlchemy went on with a connection that it had to discard
            cause = self._cause_of(error)
            if cause is None:
                return StoreUnavailable("the connection was lost", repeat_at_once=was_used)
            error = cause
        return self._explain(error.orig if isinstance(error, DBAPIError) else error, was_used)

    def _cause_of(self, error: BaseException) -> Exception | None:
        """Return the driver's exception behind SQLAlchemy's."""
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, (DBAPIError, self._driver_error)):
                return seen
            seen = seen.__cause__ or seen.__context__
        return None

    def _with_repeats(self, attempt: Callable[[], T]) -> T:
        """Retry at once after a lost connection or a conflict, patiently if the server is temporarily unable."""
        for _ in range(_MOST_REPEATS):
            try:
                return attempt()
            except StoreUnavailable as error:
                if error.repeat_at_once:
                    continue
                if self._repeat is None or not error.is_worth_waiting:
                    raise
                break
        return attempt() if self._repeat is None else self._repeat(attempt)


def _without_values(text: str) -> str:
    """Return a server's message about a refused row, without the values that SQL Server includes."""
    return text.partition(" The duplicate key value is")[0][:300]


def _mark_used(connection: Connection) -> bool:
    """Tell whether the pooled connection was used before; from now on it was."""
    was_used = bool(connection.info.get("was_used"))
    connection.info["was_used"] = True
    return was_used
