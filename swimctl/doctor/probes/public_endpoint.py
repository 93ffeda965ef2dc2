"""The address that clients use, seen as they see it, step by step: each step once per run, shared by the checks."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from swim_server.daemon.control.documents.diagnostics import ProbeConnection

from swimctl.doctor.probes.certificates import ShownCertificate, look_without_trust
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted
from swimctl.doctor.probes.temporary_keys import temporary_key
from swimctl.doctor.probes.wire import Ended, Greeting, NotUpgraded, ProbeClient, Target, dial, reason_of

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

STEP_SECONDS = 1.5
NO_KEY_WORDS = ("no api key", "api key required", "missing api key", "api key is required", "key was presented")
"""How services, this one and its predecessor, say that no key arrived."""


class NoFront(Exception):
    """No public address is configured."""


class Certificate(msgspec.Struct, frozen=True):
    """What the TLS handshake showed."""

    days_left: int | None
    """None: it is not trusted, so nothing in it counts."""
    distrust: str | None = None
    version: str | None = None
    code: int | None = None
    """Why it is not trusted: OpenSSL's number (x509_vfy.h)."""
    shown: ShownCertificate | None = None
    """Its own claims, if it is not trusted."""


class Visit(msgspec.Struct, frozen=True):
    """The outcome of one client's visit."""

    is_upgraded: bool
    trouble: str | None = None
    """Why the visit went no further."""
    status: int | None = None
    """The HTTP status of a refused upgrade."""
    greeting: Greeting | None = None
    is_ours: bool | None = None
    """The running process knows this very connection; None: not asked."""
    remote: str | None = None
    """The client address that the process believes."""
    received: float = 0.0
    """When the greeting arrived, by our clock."""
    answers: dict[str, Any] = {}
    """By action: the answer, or None if none arrived."""


async def target_of(context: DoctorContext) -> Target:
    """Return the address to examine. Raises NoFront, CannotAsk."""
    url = context.options.url or (await context.loaded()).config.server.public_url
    if url is None:
        raise NoFront
    try:
        return Target.parse(url)
    except ValueError as error:
        raise CannotAsk(str(error)) from None


async def addresses(context: DoctorContext) -> list[str]:
    """Resolve the name. Raises OSError."""
    target = await target_of(context)

    async def find() -> list[str]:
        async with asyncio.timeout(context.within(STEP_SECONDS)):
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))

    return await context.fact("front.addresses", find, f"the name {target.host}, resolved", shape=list[str])


async def connect_seconds(context: DoctorContext) -> float:
    """Measure how long a TCP connection takes. Raises OSError, TimeoutError."""
    target = await target_of(context)

    async def find() -> float:
        return await _connect(context, target.host, target.port)

    return await context.fact("front.connection", find, f"TCP to {target.host}:{target.port}", shape=float)


async def _connect(context: DoctorContext, host: str, port: int) -> float:
    started = time.perf_counter()
    async with asyncio.timeout(context.within(STEP_SECONDS)):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return time.perf_counter() - started


async def dead_addresses(context: DoctorContext) -> dict[str, str]:
    """Try each address of the name; return those that accept no connection, with the reason. Raises OSError."""
    target = await target_of(context)
    found = await addresses(context)

    async def try_one(address: str) -> tuple[str, str | None]:
        try:
            await _connect(context, address, target.port)
        except TimeoutError:
            return address, "no answer"
        except OSError as error:
            return address, reason_of(error)
        return address, None

    async def find() -> dict[str, str]:
        tried = await asyncio.gather(*(try_one(each) for each in found))
        return {address: reason for address, reason in tried if reason is not None}

    return await context.fact("front.dead-addresses", find, "TCP to each address", shape=dict[str, str])


async def certificate(context: DoctorContext) -> Certificate:
    """Do the TLS handshake and inspect the certificate. Raises OSError, TimeoutError."""
    target = await target_of(context)
    seconds = context.within(STEP_SECONDS)
    where = f"TLS with {target.host}:{target.port}"
    return await context.fact("front.certificate", lambda: _shake_hands(target, seconds), where, shape=Certificate)


async def _shake_hands(target: Target, seconds: float) -> Certificate:
    from swimctl.doctor.checks.database.server import days_left

    context = await asyncio.to_thread(ssl.create_default_context)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        looked_at = await look_without_trust(target.host, target.port, seconds)
        return Certificate(None, error.verify_message or str(error), None, error.verify_code, looked_at)
    shown = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    return Certificate(days_left(shown.getpeercert(), datetime.now(UTC)), None, shown.version())


async def visit(context: DoctorContext) -> Visit:
    """Act as a client for a moment: upgrade, greeting, ping, subscribe. Raises CannotAsk.

    Uses a temporary key of the running process, or the user's key for a service on another machine.
    """
    where = "a visit as a client makes it"
    return await context.fact("front.visit", lambda: _visit(context), where, shape=Visit)


async def _visit(context: DoctorContext) -> Visit:
    try:
        async with client_of(context) as wire:
            greeting = await wire.greet(context.within(2 * STEP_SECONDS))
            received = time.time()
            if greeting is None:
                return Visit(True, "nothing was said")
            if not greeting.is_in:
                return Visit(True, greeting.text, greeting=greeting)
            is_ours, remote = await _is_known(context, greeting)
            answers = await _answers(wire, context.within(STEP_SECONDS))
            return Visit(True, None, None, greeting, is_ours, remote, received, answers)
    except NotUpgraded as error:
        return Visit(False, error.reason, error.status)
    except Ended as ended:
        return Visit(True, str(ended))


async def _answers(wire: ProbeClient, seconds: float) -> dict[str, Any]:
    """Ping and subscribe at once; return what answers in time. Raises Ended."""
    await wire.send(action="ping")
    await wire.send(action="subscribe", channels=["system.notice"])
    answers: dict[str, Any] = {}
    deadline = time.perf_counter() + seconds
    while len(answers) < 2 and (left := deadline - time.perf_counter()) > 0:
        message = await wire.await_type(("pong", "subscribed", "error"), left)
        if message is None:
            break
        if message.get("type") == "pong":
            answers["ping"] = message
        elif message.get("type") == "subscribed" or "ping" in answers:
            answers["subscribe"] = message
        else:
            answers["ping"] = message
    return answers


@asynccontextmanager
async def client_of(context: DoctorContext) -> AsyncIterator[ProbeClient]:
    """Connect a client at the public address, with a valid key. Raises CannotAsk, NotUpgraded, Ended."""
    seconds = context.within(STEP_SECONDS)
    async with dial(await target_of(context), await _key(context), open_seconds=seconds) as wire:
        yield wire


async def is_let_in_by_query(context: DoctorContext) -> bool:
    """Return whether the service admits a client whose temporary key is in the URL's query. Raises CannotAsk."""
    where = "a visit with a temporary key in the address"
    return await context.fact("front.visit-by-query", lambda: _visit_by_query(context), where, shape=bool)


async def _visit_by_query(context: DoctorContext) -> bool:
    target = (await target_of(context)).with_key(await _key(context))
    try:
        async with dial(target, None, open_seconds=context.within(STEP_SECONDS)) as wire:
            greeting = await wire.greet(context.within(2 * STEP_SECONDS))
            return greeting is not None and greeting.is_in
    except (NotUpgraded, Ended):
        return False


async def _key(context: DoctorContext) -> str:
    if context.options.url is None:
        return await temporary_key(context)
    if not context.options.api_key:
        raise CannotAsk("no key to connect with", "SWIM_API_KEY=… swimctl doctor --url " + context.options.url)
    return context.options.api_key


async def _is_known(context: DoctorContext, greeting: Greeting) -> tuple[bool | None, str | None]:
    """Ask the running process whether this connection is one of its own."""
    if context.options.url is not None:
        return None, None
    found = await acted(context, "probe_connection", ProbeConnection, id=greeting.client_id)
    return found.found, found.remote
