"""The key database: it can be opened, read and written, and has the right schema and clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, Repair, Status, fail, ok, skip, warn
from swimctl.doctor.checks.database.in_process import in_use, same_store
from swimctl.doctor.checks.database.server import encrypted, reachable
from swimctl.doctor.probes.database import key_database
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SLOW_SECONDS, TOO_SLOW_SECONDS = 0.25, 1.0
CLOCK_SECONDS = 2.0
"""How far the clocks may differ: keys are created by one and expire by the other."""
FUTURE = timedelta(seconds=60)
TIMEOUT_SECONDS = 2 * key_database.STATEMENT_SECONDS + 0.5


async def login(context: DoctorContext) -> Answer:
    """Check that the database accepts our login."""
    from swim_server.sql.errors import StoreError, StoreMisconfigured

    expected = "the database accepts our login and answers"
    if (await _encrypted_status(context)) is Status.FAIL:
        return skip(expected, "database.encrypted is fail")
    try:
        found = await key_database.login(context)
    except StoreMisconfigured as error:
        return fail(expected, error.problem, fix=error.remedy or "swimctl config show --origin")
    except StoreError as error:
        if "full" in str(error):
            return fail(expected, str(error), fix=await _how_full(context))
        return fail(expected, str(error), fix=await _who_holds_it(context))
    return ok(expected, f"{found.kind}, logged in and answered in {found.seconds * 1000:.0f} ms")


async def _encrypted_status(context: DoctorContext) -> Status:
    return (await encrypted(context)).status


async def latency(context: DoctorContext) -> Answer:
    """Check that the database answers quickly."""
    from swim_server.sql.errors import StoreError

    expected = f"an answer within {SLOW_SECONDS * 1000:.0f} ms"
    fix = "swimctl doctor --only database  # again, with the database's own monitoring open"
    try:
        seconds = await key_database.latency_seconds(context)
    except StoreError as error:
        return fail(expected, str(error), fix=fix)
    seen = f"{seconds * 1000:.1f} ms"
    if seconds >= TOO_SLOW_SECONDS * context.load_factor:
        return fail(expected, f"{seen}: clients whose key isn't cached wait that long", fix=fix)
    return ok(expected, seen) if seconds < SLOW_SECONDS * context.load_factor else warn(expected, seen, fix=fix)


async def schema(context: DoctorContext) -> Answer:
    """Check that the needed columns exist."""
    from swim_server.keys.schema import NEEDED_KEY_COLUMNS, NOT_NULL, REMEDY_FOR_LEFT
    from swim_server.sql.errors import StoreError

    expected = "every table and column that the code uses"
    try:
        found = await key_database.schema(context)
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    needed = sorted(NEEDED_KEY_COLUMNS - found.key_columns)
    if not found.key_columns and (await key_database.login(context)).kind == "sqlite":
        return ok(expected, "no tables yet: they are created with the first key")
    if not found.key_columns:
        return fail(expected, "there is no table swim_api_keys", fix="swimctl db upgrade")
    if needed:
        seen = f"missing in swim_api_keys: {', '.join(needed)}"
        if NOT_NULL.isdisjoint(needed):
            return fail(expected, seen, fix="swimctl db upgrade")
        return fail(expected, seen, REMEDY_FOR_LEFT, fix="swimctl db status")
    missing = tuple(f"{table}: {', '.join(columns)}" for table, columns in found.missing().items())
    if missing:
        return warn(expected, f"works without: {'; '.join(missing)}", *missing, fix="swimctl db upgrade")
    return ok(expected, f"{len(found.key_columns)} columns of keys, {len(found.audit_columns)} of the audit trail")


async def upgrade_schema(context: DoctorContext) -> list[str]:
    """Add missing tables and columns. Raises CommandFailed."""
    from swim_server.keys.opening import open_database
    from swim_server.keys.upgrading import REMEDY_FOR_LEFT, upgrade
    from swim_server.sql.errors import StoreError

    config = await key_database.database_config(context)
    try:
        database = await asyncio.to_thread(open_database, config, context.home.database)
        try:
            upgraded = await asyncio.to_thread(upgrade, database)
        finally:
            database.close()
    except StoreError as error:
        raise CommandFailed(str(error), "swimctl db upgrade --sql") from None
    if upgraded.problem is not None:
        raise CommandFailed(upgraded.problem, REMEDY_FOR_LEFT)
    return [f"added to {table}: {', '.join(columns)}" for table, columns in upgraded.added.items()]


async def clock(context: DoctorContext) -> Answer:
    """Check that the database's clock and ours agree."""
    from swim_server.sql.errors import StoreError

    if (await key_database.login(context)).kind != "mssql":
        return await _no_row_from_the_future(context)
    expected = f"the server's clock and ours agree within {CLOCK_SECONDS:g} s"
    fix = "timedatectl status"
    try:
        before, there, after = await key_database.server_clock(context)
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    apart = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    if apart > CLOCK_SECONDS:
        way = "behind" if there < before else "ahead of"
        return fail(
            expected, f"it is {apart:.0f} s {way} ours", f"theirs {there:%H:%M:%S}, ours {after:%H:%M:%S} UTC", fix=fix
        )
    return ok(expected, f"{apart:.1f} s apart")


async def _no_row_from_the_future(context: DoctorContext) -> Answer:
    """Check that no row is from the future: a file has no clock, but its rows show those of its writers."""
    from swim_server.sql.errors import StoreError

    expected = "no key was made or used in the future"
    try:
        records = (await key_database.rows(context)).values()
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    limit = context.utc_now + FUTURE
    late = [
        f"key {record.id}: {moment:%Y-%m-%dT%H:%M:%SZ}"
        for record in records
        for moment in (record.created_at, record.last_used_at)
        if moment is not None and moment > limit
    ]
    if late:
        seen = f"{len(late)} such times: a clock was ahead when they were written, or ours is behind now"
        return fail(expected, seen, *late[:5], fix="timedatectl status")
    return ok(expected, f"{len(records)} keys, none of them")


async def writable(context: DoctorContext) -> Answer:
    """Check that keys can be stored, with a row that is not a key and is removed again."""
    from swim_server.sql.errors import PermissionDenied, StoreError, StoreMisconfigured

    expected = "a row can be written"
    try:
        await key_database.marker(context)
    except PermissionDenied as denied:
        return skip(expected, f"this login may not write and remove a row, so none was written: {denied.problem}")
    except StoreMisconfigured as error:
        return fail(expected, error.problem, fix=error.remedy or None)
    except StoreError as error:
        return fail(expected, str(error), fix=await _who_holds_it(context))
    return ok(expected, "a marker row was written; it is removed again")


async def _how_full(context: DoctorContext) -> str:
    """Return the command that shows how full the file's disk is; for a server, its own message."""
    path = key_database.sqlite_path(await key_database.database_config(context), context.home.database)
    return f"df -h {path.parent}" if path is not None else "swimctl db status"


async def _who_holds_it(context: DoctorContext) -> str:
    """Return the command that shows who holds a file's lock; for a server, its own message."""
    config = await key_database.database_config(context)
    path = key_database.sqlite_path(config, context.home.database)
    return f"fuser -v {path}" if path is not None else "swimctl db status"


CHECKS: tuple[Check, ...] = (
    Check(
        id="database.reachable",
        summary="The key database's file is there, or its server answers",
        ask=reachable,
        needs=("config.valid",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.encrypted",
        summary="The key database's server encrypts, with a valid certificate",
        ask=encrypted,
        needs=("database.reachable",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.login",
        summary="The key database accepts our login and answers",
        ask=login,
        needs=("database.reachable",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.latency",
        summary="The key database answers quickly",
        ask=latency,
        needs=("database.login",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.schema",
        summary="The key database has the columns that the code uses",
        ask=schema,
        needs=("database.latency",),
        repair=Repair(
            apply=upgrade_schema,
            question="Add the missing tables and columns to the key database? Nothing in it is changed or removed.",
        ),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.clock",
        summary="The key database's clock and ours agree",
        ask=clock,
        needs=("database.schema",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.writable",
        summary="Keys can be stored",
        ask=writable,
        needs=("database.schema",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.same-store",
        summary="The running process reads the database that the command line writes",
        ask=same_store,
        needs=("process.answers", "database.writable"),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.in-use",
        summary="The running process can check keys",
        ask=in_use,
        needs=("process.answers", "database.same-store"),
    ),
)
