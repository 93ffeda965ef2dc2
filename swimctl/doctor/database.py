"""The key database: reachable, of the right schema, with the right clock, the same for daemon and command line."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor import key_database
from swimctl.doctor.asking import asked, expecting
from swimctl.doctor.check import Answer, Check, Repair, Status, fail, ok, skip, warn
from swimctl.doctor.wire import reason_of
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swimctl.doctor.examination import Examination

CONNECT_SECONDS = 1.5
SLOW_SECONDS, TOO_SLOW_SECONDS = 0.25, 1.0
CLOCK_SECONDS = 2.0
"""So far the clocks may be apart: keys end by the one, and are made by the other."""
FUTURE = timedelta(seconds=60)
TIMEOUT_SECONDS = 2 * key_database.STATEMENT_SECONDS + 0.5
CERTIFICATE_DAYS = 14


async def reachable(examination: Examination) -> Answer:
    """The file is there, or the server's port answers."""
    from swimctl.doctor.database_address import address_of

    config = await key_database.database_config(examination)
    path = key_database.sqlite_path(config, examination.home.database)
    if path is not None:
        if not await asyncio.to_thread(path.exists) and not await _is_in_use(examination):
            return skip("the database's file", f"nothing has been stored in {path} yet: serve and keys create make it")
        return await asyncio.to_thread(_look_at_file, path)
    address = address_of(config)
    expected = "the database's server answers"
    if address is None:
        return ok(expected, "only the driver knows its address; database.login tells")
    where = f"{address.host}:{address.port}"
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        fix = f"getent hosts {address.host}"
        return fail(expected, f"no such host: {address.host}", str(error.strerror or error), fix=fix)
    started = loop.time()
    try:
        async with asyncio.timeout(examination.within(CONNECT_SECONDS)):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        seen = f"no answer from {where} within {CONNECT_SECONDS:g} s: it is down, or a firewall swallows it"
        return fail(expected, seen, *_addresses(found), fix=f"nc -vz -w 5 {address.host} {address.port}")
    except OSError as error:
        seen = f"{where}: {reason_of(error)}"
        return fail(expected, seen, *_addresses(found), fix=f"nc -vz -w 5 {address.host} {address.port}")
    seconds = loop.time() - started
    writer.close()
    return ok(expected, f"{where} connects in {seconds * 1000:.0f} ms", *_addresses(found))


async def _is_in_use(examination: Examination) -> bool:
    """Whether a daemon says that it serves from this home; who does not has not made its files yet."""
    return await examination.is_held() and await examination.lock() is not None


def _addresses(found: Sequence[tuple[object, object, object, object, tuple[object, ...]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))[:5]


def _look_at_file(path: Path) -> Answer:
    expected = "the database's file is there and can be read and written"
    try:
        found = path.stat()
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError)
        fix = (
            "swimctl restart  # makes a new, empty one: put your copy there first"
            if is_gone
            else f"ls -ld {path.parent}"
        )
        return fail(expected, f"{path}: {error.strerror}", fix=fix)
    if not path.is_file():
        return fail(expected, f"{path} is no file", fix="swimctl config set database.url sqlite:////path/to/swim.db")
    for mode, what in ((os.R_OK, "read"), (os.W_OK, "written")):
        if not os.access(path, mode):
            return fail(expected, f"{path} can't be {what} by this user", fix=f"sudo chown {_user()} {path}")
    return ok(expected, f"{path}, {found.st_size} bytes")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


async def encrypted(examination: Examination) -> Answer:
    """A server encrypts, with a certificate that holds."""
    from swimctl.doctor.database_address import address_of
    from swimctl.doctor.tds_probe import NoTds, shake_hands

    config = await key_database.database_config(examination)
    expected = "the server encrypts, with a certificate that is trusted"
    if key_database.sqlite_path(config, examination.home.database) is not None:
        return skip(expected, "a file on this machine: nothing travels")
    address = address_of(config)
    if address is None:
        return skip(expected, "only the driver knows the server's address")
    try:
        seconds = examination.within(CONNECT_SECONDS)
        found = await shake_hands(address.host, address.port, verify=address.is_verified, seconds=seconds)
    except (NoTds, OSError, TimeoutError) as error:
        reason = str(error) or f"no answer within {CONNECT_SECONDS:g} s"
        return fail(expected, f"{address.host}:{address.port}: {reason}", fix="swimctl config show --origin")
    server = f"SQL Server {found.version}"
    if found.distrust is not None:
        return fail(expected, f"its certificate is not trusted: {found.distrust}", server, fix=_distrust_fix(address))
    if not found.is_encrypted:
        return warn(expected, "it does not encrypt: keys and passwords travel in clear", server, fix=None)
    if not address.is_verified:
        return ok(expected, f"{found.tls_version}; its certificate isn't verified, as the configuration asks", server)
    days = days_left(found.certificate, key_database.utc_now())
    if days is not None and days < CERTIFICATE_DAYS:
        return warn(expected, f"its certificate ends in {days} days", server, fix=_distrust_fix(address))
    return ok(expected, f"{found.tls_version}, certificate trusted{f' for {days} days' if days else ''}", server)


def _distrust_fix(address: object) -> str:
    host, port = getattr(address, "host", ""), getattr(address, "port", "")
    return f"swimctl doctor --only database  # after renewing the certificate of {host}:{port}, or trusting its issuer"


def days_left(certificate: object, now: datetime) -> int | None:
    """Whole days until a certificate ends, as ``ssl`` shows it."""
    import ssl

    text = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(text, str):
        return None
    return (datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) - now).days


async def login(examination: Examination) -> Answer:
    """It lets us in."""
    from swim_server.keys.errors import StoreError, StoreMisconfigured

    expected = "the database lets us in and answers"
    if (await _encrypted_status(examination)) is Status.FAIL:
        return skip(expected, "database.encrypted is fail")
    try:
        reading = await key_database.opened(examination)
    except StoreMisconfigured as error:
        return fail(expected, error.problem, fix=error.remedy or "swimctl config show --origin")
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    return ok(expected, f"{reading.kind}, logged in and answered in {reading.login_seconds * 1000:.0f} ms")


async def _encrypted_status(examination: Examination) -> Status:
    return (await examination.fact("database.encrypted", lambda: encrypted(examination))).status


async def latency(examination: Examination) -> Answer:
    """It answers quickly."""
    from swim_server.keys.errors import StoreError

    expected = f"an answer within {SLOW_SECONDS * 1000:.0f} ms"
    fix = "swimctl doctor --only database  # again, with the database's own monitoring open"
    try:
        seconds = await key_database.latency_seconds(examination)
    except StoreError as error:
        return fail(expected, str(error), fix=fix)
    seen = f"{seconds * 1000:.1f} ms"
    if seconds >= TOO_SLOW_SECONDS * examination.stretch:
        return fail(expected, f"{seen}: clients whose key isn't remembered wait so long", fix=fix)
    return ok(expected, seen) if seconds < SLOW_SECONDS * examination.stretch else warn(expected, seen, fix=fix)


async def schema(examination: Examination) -> Answer:
    """The columns are there."""
    from swim_server.keys.errors import StoreError
    from swim_server.keys.tables import NEEDED_KEY_COLUMNS

    expected = "every table and column that the code uses"
    try:
        found = await key_database.schema(examination)
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    needed = sorted(NEEDED_KEY_COLUMNS - found.key_columns)
    if not found.key_columns and (await key_database.opened(examination)).kind == "sqlite":
        return ok(expected, "no table yet: they are made when the first key is made or asked for")
    if not found.key_columns:
        return fail(expected, "there is no table swim_api_keys", fix="swimctl db upgrade")
    if needed:
        return fail(expected, f"missing in swim_api_keys: {', '.join(needed)}", fix="swimctl db upgrade")
    missing = tuple(f"{table}: {', '.join(columns)}" for table, columns in found.missing().items())
    if missing:
        return warn(expected, f"works without: {'; '.join(missing)}", *missing, fix="swimctl db upgrade")
    return ok(expected, f"{len(found.key_columns)} columns of keys, {len(found.audit_columns)} of the audit trail")


async def upgrade_schema(examination: Examination) -> list[str]:
    """Add what is missing. Raises CommandFailed."""
    from swim_server.keys.errors import StoreError
    from swim_server.keys.upgrading import upgrade

    database = (await key_database.opened(examination)).database
    missing = (await key_database.schema(examination)).missing()
    try:
        await asyncio.to_thread(upgrade, database)
    except StoreError as error:
        raise CommandFailed(str(error), "swimctl db upgrade --sql") from None
    return [f"added to {table}: {', '.join(columns)}" for table, columns in missing.items()]


async def clock(examination: Examination) -> Answer:
    """Its clock and ours agree."""
    from swim_server.keys.errors import StoreError

    reading = await key_database.opened(examination)
    if reading.kind != "mssql":
        return await _no_row_from_the_future(examination)
    expected = f"the server's clock and ours agree within {CLOCK_SECONDS:g} s"
    fix = "timedatectl status"
    try:
        before, there, after = await key_database.server_clock(examination)
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    apart = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    if apart > CLOCK_SECONDS:
        way = "behind" if there < before else "ahead of"
        return fail(
            expected, f"it is {apart:.0f} s {way} ours", f"theirs {there:%H:%M:%S}, ours {after:%H:%M:%S} UTC", fix=fix
        )
    return ok(expected, f"{apart:.1f} s apart")


async def _no_row_from_the_future(examination: Examination) -> Answer:
    """A file has no clock; but rows tell of the clocks that wrote them."""
    from swim_server.keys.errors import StoreError

    expected = "no key was made or used in the future"
    try:
        records = (await key_database.rows(examination)).values()
    except StoreError as error:
        return fail(expected, str(error), fix="swimctl db status")
    limit = key_database.utc_now() + FUTURE
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


async def writable(examination: Examination) -> Answer:
    """Keys can be stored: a row that is no key, removed again."""
    from swim_server.keys.errors import StoreError, StoreMisconfigured

    expected = "a row can be written"
    config = await key_database.database_config(examination)
    path = key_database.sqlite_path(config, examination.home.database)
    try:
        await key_database.marker(examination)
    except StoreMisconfigured as error:
        return fail(expected, error.problem, fix=error.remedy or None)
    except StoreError as error:
        fix = f"fuser -v {path}" if path is not None else "swimctl db status"
        return fail(expected, str(error), fix=fix)
    return ok(expected, "a marker row was written; it is removed again")


class _Row(msgspec.Struct):
    database: str
    found: bool
    description: str | None


@expecting("the running process reads the database that the command line writes")
async def same_store(examination: Examination) -> Answer:
    """What the command line writes is what the process reads: the marker row, read back through it."""
    from swim_server.daemon.examined import describe_database

    from swimctl.session import RpcFailed

    expected = "the running process reads the database that the command line writes"
    ours = describe_database(await key_database.database_config(examination), str(examination.home.database))
    marked = await key_database.marker(examination)
    fix = "swimctl restart"
    try:
        row = await asked(examination, "probe_row", _Row, key_id=marked.key_id)
    except RpcFailed as failed:
        return fail(expected, f"the process can't read its database: {failed.problem}", f"ours: {ours}", fix=fix)
    if row.found and row.description == marked.text:
        return ok(expected, "a row written here was read there", row.database)
    if row.database != ours:
        seen = f"it reads another one: {row.database}"
        return fail(expected, seen, f"the command line writes: {ours}", fix="swimctl stop && swimctl serve --detach")
    seen = "it has another file or copy open: a row written here is not there"
    return fail(expected, seen, f"both call it {ours}", fix=fix)


class _Keys(msgspec.Struct):
    problem: str | None = None
    problem_seconds: float | None = None
    recheck_error: str | None = None


class _Status(msgspec.Struct):
    keys: _Keys


@expecting("the running process can check keys")
async def in_use(examination: Examination) -> Answer:
    """The process itself has no trouble with the database."""
    expected = "the running process can check keys"
    keys = (await asked(examination, "status", _Status)).keys
    if keys.problem is not None:
        since = f" for {keys.problem_seconds:.0f} s" if keys.problem_seconds is not None else ""
        return fail(expected, f"it can't{since}: {keys.problem}", fix="swimctl logs")
    if keys.recheck_error is not None:
        return fail(expected, f"live keys can't be re-checked: {keys.recheck_error}", fix="swimctl logs")
    return ok(expected, "no trouble")


async def _encrypted_once(examination: Examination) -> Answer:
    return await examination.fact("database.encrypted", lambda: encrypted(examination))


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
        summary="A key database's server encrypts, with a certificate that holds",
        ask=_encrypted_once,
        needs=("database.reachable",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="database.login",
        summary="The key database lets us in and answers",
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
            mend=upgrade_schema,
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
