"""The meaning of SQL Server's errors: numbers, states, drivers, connection strings. Pure.

The numbers come from Microsoft's list of transient errors of Azure SQL; the formats of the texts were observed with
Microsoft's driver 18 and FreeTDS 1.3 through pyodbc 5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import msgspec

from swim_server.sql.errors import PermissionDenied, SchemaMissing, StoreError, StoreMisconfigured, StoreUnavailable

PASSING_NUMBERS = frozenset(
    {64, 104, 233, 4060, 4221, 10053, 10054, 10060, 10928, 10929, 40020, 40143, 40166, 40197, 40501, 40540, 40613}
    | {42108, 42109, 49918, 49919, 49920}
)
"""Errors of a server that is moving, waking up or overloaded."""
CONFLICT_NUMBERS = frozenset({1205, 1222})
"""The transaction lost a deadlock or a wait for a lock: retry all of it."""
LASTING_NUMBERS = frozenset({18456, 40615})
"""Errors that an operator must resolve: a refused login, a firewall."""
PASSING_STATES = frozenset({"08001", "08S01", "08003", "08007", "HYT00", "HYT01", "40001"})
LOST_STATES = frozenset({"08S01", "08003", "08007", "01000"})
"""FreeTDS reports a broken connection as 01000 too, and a reset one as HY000 without a number."""
PERMISSION_NUMBERS = frozenset({229, 230})
"""The login may not use this object or this column."""
SCHEMA_PERMISSION_NUMBERS = frozenset({262, 1088, 2760, 4902})
"""The login may not create or change tables."""
FREETDS_NUMBERS = range(20_000, 21_000)
"""FreeTDS's own numbers: 20003, no answer; 20009, no connection."""
REMEDIES: Mapping[int, str] = MappingProxyType(
    dict.fromkeys((18456, 911, 4060, 18452, 40615), "swimctl config show --origin")
    | dict.fromkeys((229, 230), "swimctl db upgrade --sql  # its administrator grants what is missing")
    | {3903: "swimctl doctor --only database"}
)
"""The command that helps with an error, by its number."""
TIMEOUT_STATES = frozenset({"HYT00", "HYT01"})

DRIVER_PREFERENCE = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
NO_DRIVER = StoreMisconfigured(
    "no ODBC driver for SQL Server found",
    "apt-get install tdsodbc, or msodbcsql18 from Microsoft, then run swimctl doctor --only database",
)
NO_DRIVER_MANAGER = StoreMisconfigured(
    "pyodbc needs the system's ODBC library, libodbc.so.2",
    "apt-get install -y --no-install-recommends libodbc2, then run swimctl doctor --only database",
)

_NUMBER = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_LEAD = re.compile(r"^(?:\s*\[[^\]]*\])+\s*")
_LIBRARY = re.compile(r"open lib '([^']*)'")
_QUOTED = re.compile(r"'([^']*)'")


class Fault(msgspec.Struct, frozen=True):
    """One error as reported by a driver."""

    state: str
    """The SQLSTATE, five characters; FreeTDS and Microsoft's driver differ."""
    number: int
    """The server's number; 0 if there is none."""
    text: str
    """The first message, without the driver's brackets."""

    @property
    def is_no_driver(self) -> bool:
        """Tell whether the driver itself could not be loaded."""
        return self.state in {"IM002", "IM003"} or "Can't open lib" in self.text

    @property
    def is_passing(self) -> bool:
        """Tell whether the same call may succeed later."""
        if self.number in LASTING_NUMBERS or "certificate verify failed" in self.text:
            return False
        return self.number in PASSING_NUMBERS | CONFLICT_NUMBERS or self.state in PASSING_STATES or self.is_lost

    @property
    def is_conflict(self) -> bool:
        """Tell whether the transaction only has to be repeated, on the same connection."""
        return self.number in CONFLICT_NUMBERS or (self.state == "40001" and not self.number)

    @property
    def is_lost(self) -> bool:
        """Tell whether the connection is gone."""
        return self.state in LOST_STATES or (self.state == "HY000" and not self.number)

    @property
    def spoils_connection(self) -> bool:
        """Tell whether the connection must be discarded: after anything but an error in a statement."""
        return self.is_passing and not self.is_conflict


def read_fault(arguments: Iterable[object]) -> Fault:
    """Parse pyodbc's exception ``args``: the SQLSTATE and a text that contains the number."""
    state, text = ([str(argument) for argument in arguments] + ["", ""])[:2]
    match = _NUMBER.search(text)
    first = text[: match.start()] if match else text.partition(";")[0]
    number = max(0, int(match[1])) if match else 0
    if number in FREETDS_NUMBERS and "[FreeTDS]" in text:
        number = 0  # the client library's own number: the server has said nothing
    return Fault(state, number, _LEAD.sub("", first).strip()[:300])


def explain_fault(fault: Fault, was_used: bool, installed: Collection[str] = ()) -> StoreError:
    """Return what a fault means for the caller; ``was_used``: on a connection that was used before.

    ``installed``: the available drivers, in case the configured one is not among them.
    """
    if fault.number in {208, 207}:
        name = match[1] if (match := _QUOTED.search(fault.text)) else "?"
        return SchemaMissing(name.rpartition(".")[2]) if fault.number == 208 else SchemaMissing("swim_api_keys", [name])
    if fault.is_no_driver:
        return driver_missing(fault.text, installed)
    if "certificate verify failed" in fault.text:
        problem = f"the key database's certificate is not trusted: {fault.text.rstrip('.')}"
        return StoreMisconfigured(problem, "swimctl doctor --only database")
    if fault.is_passing:
        at_once = fault.is_conflict or (was_used and fault.is_lost and fault.state not in TIMEOUT_STATES)
        reason = f"{fault.text or 'no answer'} ({fault.number or fault.state})"
        return StoreUnavailable(reason, number=fault.number or None, repeat_at_once=at_once)
    if fault.number in SCHEMA_PERMISSION_NUMBERS:
        problem = f"the key database refuses ({fault.number}): {fault.text.rstrip('.')}"
        return StoreMisconfigured(problem, "let its administrator run what `swimctl db upgrade --sql` prints")
    refused = PermissionDenied if fault.number in PERMISSION_NUMBERS else StoreMisconfigured
    problem = f"the key database refuses ({fault.number or fault.state})"
    problem += f": {fault.text.rstrip('.')}" if fault.text else ""
    return refused(problem, REMEDIES.get(fault.number, "swimctl doctor --only database"))


def driver_missing(text: str, installed: Collection[str]) -> StoreMisconfigured:
    """Return the error that names the missing driver and the available ones."""
    if not installed:
        return NO_DRIVER
    named = match[1] if (match := _LIBRARY.search(text)) else None
    wrong = f"the ODBC driver {named!r} is not installed" if named else "the configured ODBC driver is not installed"
    return StoreMisconfigured(f"{wrong}; there are: {', '.join(sorted(installed))}", "swimctl config show --origin")


def choose_driver(installed: Iterable[str]) -> str:
    """Return the best of the installed ODBC drivers. Raises StoreMisconfigured if none is for SQL Server."""
    names = set(installed)
    for name in DRIVER_PREFERENCE:
        if name in names:
            return name
    for name in sorted(names, reverse=True):
        if "sql server" in name.lower() or "tds" in name.lower():
            return name
    raise NO_DRIVER
