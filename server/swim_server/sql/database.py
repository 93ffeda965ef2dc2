"""The door to the key database: one engine with its rules. Knows transactions, faults and retries; knows no table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError, IntegrityError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swim_server.sql.errors import OutcomeUnknown, StoreError, StoreMisconfigured, StoreUnavailable

T = TypeVar("T")
ONLY_READS = "swim_only_reads"
"""The execution option by which an engine knows that no transaction is needed."""
Explain = Callable[[BaseException | None, bool], StoreError]
"""Turns what a driver raised, on a connection used before or not, into what the caller can do about it."""
_MOST_REPEATS = 10
"""How often a call is repeated at once: there are not more dead connections in the pool."""


class Repeat(Protocol):
    """Repeats a call patiently while it fails for a passing reason."""

    def __call__(self, attempt: Callable[[], T]) -> T: ...


class Database:
    """An engine and what its errors mean. Blocking; any thread may call it."""

    def __init__(
        self, engine: Engine, explain: Explain, repeat: Repeat | None = None, *, is_read_only: bool = False
    ) -> None:
        self.engine = engine
        self.is_read_only = is_read_only
        """Nothing may be made or written."""
        self._explain = explain
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        """What the driver raises where SQLAlchemy does not stand in between."""
        self._repeat = repeat
        """None: never wait."""

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` outside of a transaction. Raises StoreError."""
        return self._with_repeats(lambda: self._read_once(work))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own, committed when it returns. Raises StoreError.

        ``work`` may run more than once: what fails before the commit has left nothing behind and can be repeated. A
        commit that fails is not: OutcomeUnknown.
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
        """Roll back. What fails then says nothing: a trigger may have rolled back already, or the line is gone."""
        try:
            transaction.rollback()
        except (DBAPIError, ResourceClosedError, self._driver_error):
            connection.invalidate(first)

    def _translated(self, error: Exception, was_used: bool) -> StoreError:
        if isinstance(error, PoolTimeoutError):
            return StoreUnavailable("all connections to it are busy")
        if isinstance(error, ResourceClosedError):  # SQLAlchemy went on with a connection that it had to throw away
            cause = self._cause_of(error)
            if cause is None:
                return StoreUnavailable("the connection was lost", repeat_at_once=was_used)
            error = cause
        return self._explain(error.orig if isinstance(error, DBAPIError) else error, was_used)

    def _cause_of(self, error: BaseException) -> Exception | None:
        """Find what the driver raised before SQLAlchemy raised this."""
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, (DBAPIError, self._driver_error)):
                return seen
            seen = seen.__cause__ or seen.__context__
        return None

    def _with_repeats(self, attempt: Callable[[], T]) -> T:
        """Repeat at once what failed because of one connection or a conflict, patiently what a server refuses."""
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
    """Return what a server says of a refused row, without the values that SQL Server adds."""
    return text.partition(" The duplicate key value is")[0][:300]


def _mark_used(connection: Connection) -> bool:
    """Tell whether the pooled connection has served before; from now on it has."""
    was_used = bool(connection.info.get("was_used"))
    connection.info["was_used"] = True
    return was_used
