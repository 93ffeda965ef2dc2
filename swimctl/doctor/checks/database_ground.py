"""The ground of the key database: its file is there, or its server answers and encrypts."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, AdviceKind, Answer, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes import key_database
from swimctl.doctor.probes.launching import user_name, user_of
from swimctl.doctor.probes.wire import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swimctl.doctor.context import DoctorContext

CONNECT_SECONDS = 1.5
CERTIFICATE_DAYS = 14


async def reachable(context: DoctorContext) -> Answer:
    """Check that the file is there, or that the server's port answers."""
    from swimctl.doctor.probes.database_address import address_of

    config = await key_database.database_config(context)
    path = key_database.sqlite_path(config, context.home.database)
    if path is not None:
        if not await asyncio.to_thread(path.exists) and not await _is_in_use(context):
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
        async with asyncio.timeout(context.within(CONNECT_SECONDS)):
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


async def _is_in_use(context: DoctorContext) -> bool:
    """Whether a daemon says that it serves from this home; who does not has not made its files yet."""
    return await context.is_held() and await context.lock() is not None


def _addresses(found: Sequence[tuple[object, object, object, object, tuple[object, ...]]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))[:5]


def _look_at_file(path: Path) -> Answer:
    expected = "the database's file is there and can be read and written"
    try:
        found = path.stat()
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError)
        look = inspect(f"ls -la {shlex.quote(str(path.parent))}")
        anew = decide("swimctl restart", "it makes a new, empty one: put your copy there first")
        advice = [look, anew] if is_gone else [look]
        return fail(expected, f"{path}: {error.strerror}", advice=advice)
    if not path.is_file():
        return fail(expected, f"{path} is no file", fix="swimctl config set database.url sqlite:////path/to/swim.db")
    for mode, what in ((os.R_OK, "read"), (os.W_OK, "written")):
        if not os.access(path, mode):
            return fail(expected, f"{path} can't be {what} by this user", fix=_about_owner(path, found.st_uid))
    return ok(expected, f"{path}, {found.st_size} bytes")


def _about_owner(path: Path, owner: int) -> Advice:
    """Advise about a file of another user: it belongs to whom the folder belongs to, not to whoever asks."""
    home, name = user_of(path.parent), user_name(owner)
    if home is not None and home != owner:
        keeper = user_name(home)
        command = f"sudo chown {shlex.quote(keeper)}: {shlex.quote(str(path))}"
        return Advice(kind=AdviceKind.FIX, command=command, requires=f"root; the file is {name}'s in {keeper}'s folder")
    return inspect(f"ls -la {shlex.quote(str(path.parent))}", f"ask as user {name}, whose files these are")


async def encrypted(context: DoctorContext) -> Answer:
    """Check that a server encrypts, with a certificate that holds."""
    from swimctl.doctor.probes.database_address import address_of
    from swimctl.doctor.probes.tds import NoTds, shake_hands

    config = await key_database.database_config(context)
    expected = "the server encrypts, with a certificate that is trusted"
    if key_database.sqlite_path(config, context.home.database) is not None:
        return skip(expected, "a file on this machine: nothing travels")
    address = address_of(config)
    if address is None:
        return skip(expected, "only the driver knows the server's address")
    try:
        seconds = context.within(CONNECT_SECONDS)
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
