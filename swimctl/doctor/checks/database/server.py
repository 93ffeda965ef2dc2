"""Access to the key database: its file exists, or its server answers and encrypts."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import Advice, AdviceKind, Answer, Status, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, config_changes
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.launching import user_of
from swimctl.doctor.probes.wire import reason_of
from swimctl.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.database.database_address import DatabaseAddress
    from swimctl.doctor.probes.filesystem import FileSeen

CONNECT_SECONDS = 1.5
CERTIFICATE_DAYS = 14


async def reachable(context: DoctorContext) -> Answer:
    """Check that the file exists, or that the server's port answers."""
    from swimctl.doctor.probes.database.database_address import address_of

    config = await key_database.database_config(context)
    path = key_database.sqlite_path(config, context.home.database)
    if path is not None:
        seen = await asyncio.to_thread(context.files.look, path)
        if seen.kind == "missing" and not await _is_in_use(context):
            return skip("the database's file", f"nothing has been stored in {path} yet: serve and keys create make it")
        answer = await asyncio.to_thread(_judge_file, context, path, seen)
        return answer if answer.status is Status.OK else await _with_other_database(context, answer)
    address = address_of(config)
    expected = "the database's server answers"
    if address is None:
        return ok(expected, "only the driver knows its address; database.login tells")
    where = f"{address.host}:{address.port}"
    try:
        found = await _addresses(context, address)
    except OSError as error:
        fix = f"getent hosts {address.host}"
        return fail(expected, f"no such host: {address.host}", str(error.strerror or error), fix=fix)
    try:
        seconds = await _connect_seconds(context, address)
    except TimeoutError:
        told = f"no answer from {where} within {CONNECT_SECONDS:g} s: it is down, or a firewall swallows it"
        return fail(expected, told, *found, fix=f"nc -vz -w 5 {address.host} {address.port}")
    except OSError as error:
        told = f"{where}: {reason_of(error)}"
        return fail(expected, told, *found, fix=f"nc -vz -w 5 {address.host} {address.port}")
    return ok(expected, f"{where} connects in {seconds * 1000:.0f} ms", *found)


async def _with_other_database(context: DoctorContext, answer: Answer) -> Answer:
    """Add that the process still uses a database other than the configured one."""
    with contextlib.suppress(CannotAsk, CommandError):
        changes = await config_changes(context)
        changed = {name for name in (*changes.reload, *changes.restart) if name.startswith("database.")}
        if changed:
            told = f"{', '.join(sorted(changed))} was changed since the process started: it still uses what it had"
            looks = (inspect("swimctl config show --origin"),)
            return msgspec.structs.replace(answer, observed=f"{answer.observed}; {told}", advice=looks)
    return answer


async def _addresses(context: DoctorContext, address: DatabaseAddress) -> list[str]:
    """Resolve the server's name. Raises OSError."""

    async def find() -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))[:5]

    return await context.fact("database.addresses", find, f"the name {address.host}, resolved", shape=list[str])


async def _connect_seconds(context: DoctorContext, address: DatabaseAddress) -> float:
    """Measure how long a TCP connection to the server takes. Raises OSError, TimeoutError."""

    async def find() -> float:
        started = time.perf_counter()
        async with asyncio.timeout(context.within(CONNECT_SECONDS)):
            _, writer = await asyncio.open_connection(address.host, address.port)
        writer.close()
        return time.perf_counter() - started

    return await context.fact("database.connection", find, f"TCP to {address.host}:{address.port}", shape=float)


async def _is_in_use(context: DoctorContext) -> bool:
    """Return True if a daemon says that it serves from this home; a home never served from has no files yet."""
    return await context.is_held() and await context.lock() is not None


def _judge_file(context: DoctorContext, path: Path, found: FileSeen) -> Answer:
    expected = "the database's file is there and can be read and written"
    look = inspect(f"ls -la {shlex.quote(str(path.parent))}")
    if not found.is_there:
        anew = decide("swimctl restart", "it creates a new, empty one: put your copy there first")
        return fail(expected, f"{path}: {found.reason}", advice=[look, anew] if found.kind == "missing" else [look])
    if found.kind != "file":
        chosen = decide("swimctl config set database.url sqlite:////path/to/swim.db", "with the path of the right file")
        return fail(expected, f"{path} is not a file", advice=[look, chosen])
    for is_possible, what in ((found.can_read, "read"), (found.can_write, "written")):
        if not is_possible:
            return fail(expected, f"{path} can't be {what} by this user", fix=_about_owner(context, path, found.uid))
    if not found.size and context.files.look(path.with_suffix(".ended")).is_there:
        back = decide("swimctl restore BACKUP.tar.gz --only keys", "of the newest backup, while the daemon is stopped")
        return fail(expected, f"{path} is empty, though keys were made here", advice=[look, back])
    return ok(expected, f"{path}, {found.size} bytes")


def _about_owner(context: DoctorContext, path: Path, owner: int) -> Advice:
    """Advise about a file of another user: it should belong to the folder's owner, not to the current user."""
    home, name = user_of(context, path.parent), context.procfs.user_name(owner)
    if context.circumstances.user in (0, owner):
        why = "neither owner nor mode forbid it: an attribute (i, a) of the file, or how its disk is mounted"
        return inspect(f"lsattr {shlex.quote(str(path))}", why)
    if home is not None and home != owner:
        keeper = context.procfs.user_name(home)
        command = f"sudo chown {shlex.quote(keeper)}: {shlex.quote(str(path))}"
        return Advice(kind=AdviceKind.FIX, command=command, requires=f"root; the file is {name}'s in {keeper}'s folder")
    return inspect(f"ls -la {shlex.quote(str(path.parent))}", f"ask as user {name}, whose files these are")


async def encrypted(context: DoctorContext) -> Answer:
    """Check that a server encrypts, with a valid certificate."""
    from swimctl.doctor.probes.database.database_address import address_of
    from swimctl.doctor.probes.database.tds import NoTds, TdsHandshake, shake_hands

    config = await key_database.database_config(context)
    expected = "the server encrypts, with a certificate that is trusted"
    if key_database.sqlite_path(config, context.home.database) is not None:
        return skip(expected, "a file on this machine: nothing travels")
    address = address_of(config)
    if address is None:
        return skip(expected, "only the driver knows the server's address")

    async def find() -> TdsHandshake:
        seconds = context.within(CONNECT_SECONDS)
        return await shake_hands(address.host, address.port, verify=address.is_verified, seconds=seconds)

    try:
        where = f"the first exchange with {address.host}:{address.port}"
        found = await context.fact("database.handshake", find, where, shape=TdsHandshake)
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
    days = days_left(found.certificate, context.utc_now)
    if days is not None and days < CERTIFICATE_DAYS:
        return warn(expected, f"its certificate ends in {days} days", server, fix=_distrust_fix(address))
    return ok(expected, f"{found.tls_version}, certificate trusted{f' for {days} days' if days else ''}", server)


def _distrust_fix(address: object) -> str:
    host, port = getattr(address, "host", ""), getattr(address, "port", "")
    return f"swimctl doctor --only database  # after renewing the certificate of {host}:{port}, or trusting its issuer"


def days_left(certificate: object, now: datetime) -> int | None:
    """Return the whole days until a certificate expires, from ``ssl``'s text of its end."""
    import ssl

    text = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(text, str):
        return None
    return (datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC) - now).days
