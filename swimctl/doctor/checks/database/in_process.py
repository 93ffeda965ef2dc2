"""The key database as the running process uses it: the same one, and without errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.diagnostics import ProbeRow

from swimctl.doctor.check import Answer, fail, inspect, ok
from swimctl.doctor.probes.daemon_facts import asked, expecting, status
from swimctl.doctor.probes.database import key_database

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext


@expecting("the running process reads the database that the command line writes")
async def same_store(context: DoctorContext) -> Answer:
    """Check that the process reads what the command line writes, with a marker row read back through it."""
    from swim_server.daemon.database_name import describe_database

    from swimctl.client.session import RpcFailed

    expected = "the running process reads the database that the command line writes"
    ours = describe_database(await key_database.database_config(context), str(context.home.database))
    marked = await key_database.marker(context)
    fix = "swimctl restart"
    try:
        row = await asked(context, "probe_row", ProbeRow, key_id=marked.key_id)
    except RpcFailed as failed:
        return fail(expected, f"the process can't read its database: {failed.problem}", f"ours: {ours}", fix=fix)
    if row.found and row.description == marked.text:
        return ok(expected, "a row written here was read there", row.database)
    if row.database != ours:
        seen = f"it reads another one: {row.database}"
        look = [inspect("swimctl config show --origin"), inspect("swimctl status")]
        return fail(expected, seen, f"the command line writes: {ours}", advice=look)
    seen = "it has another file or copy open: a row written here is not there"
    return fail(expected, seen, f"both call it {ours}", fix=fix)


@expecting("the running process can check keys")
async def in_use(context: DoctorContext) -> Answer:
    """Check that the process itself has no errors with the database."""
    expected = "the running process can check keys"
    keys = (await status(context)).keys
    if keys.problem is not None:
        since = f" for {keys.problem_seconds:.0f} s" if keys.problem_seconds is not None else ""
        return fail(expected, f"it can't{since}: {keys.problem}", fix="swimctl logs")
    if keys.recheck_error is not None:
        return fail(expected, f"live keys can't be re-checked: {keys.recheck_error}", fix="swimctl logs")
    return ok(expected, "no trouble")
