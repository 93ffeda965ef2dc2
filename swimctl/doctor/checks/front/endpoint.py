"""The public address as a client sees it: ``[server] public_url``, or the one given with ``--url``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, decide, fail, inspect, ok, skip, unknown, warn
from swimctl.doctor.checks.front.capacity import check_capacity
from swimctl.doctor.checks.front.http import http_is_answered
from swimctl.doctor.checks.front.proxy import check_address, check_old_processes
from swimctl.doctor.probes import public_endpoint
from swimctl.doctor.probes.certificates import distrusted
from swimctl.doctor.probes.daemon_facts import Ask, expecting, status
from swimctl.doctor.probes.idle_connection import idle_holds
from swimctl.doctor.probes.public_endpoint import NO_KEY_WORDS, NoFront, Visit, target_of
from swimctl.doctor.probes.wire import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swimctl.doctor.context import DoctorContext

CERTIFICATE_DAYS = 14
CLOCK_SECONDS = 5.0
TIMEOUT_SECONDS = 8.0
IDLE_SECONDS = 130.0


def _of_the_front(expected: str) -> Callable[[Ask], Ask]:
    """Skip a check if there is no public address."""

    def wrap(ask: Ask) -> Ask:
        async def careful(context: DoctorContext) -> Answer:
            try:
                return await expecting(expected)(ask)(context)
            except NoFront:
                return skip(expected, "no [server] public_url is configured")

        return careful

    return wrap


async def _dns(context: DoctorContext) -> Answer:
    target = await target_of(context)
    expected = f"{target.host} is known"
    try:
        found = await public_endpoint.addresses(context)
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
        return fail(expected, f"{target.host}: {reason}", fix=f"getent ahosts {target.host}")
    return ok(expected, ", ".join(found[:5]))


async def _tcp(context: DoctorContext) -> Answer:
    target = await target_of(context)
    where = f"{target.host}:{target.port}"
    expected = f"{where} accepts connections"
    try:
        seconds = await public_endpoint.connect_seconds(context)
    except TimeoutError:
        seen = f"no answer within {public_endpoint.STEP_SECONDS:g} s: it is down, or a firewall swallows it"
        return fail(expected, seen, fix=f"nc -vz -w 5 {target.host} {target.port}")
    except OSError as error:
        found = ", ".join((await public_endpoint.addresses(context))[:3])
        where = target.host if found == target.host else f"{target.host}, which is {found}"
        seen = f"{where}: {reason_of(error)}"
        looks = [inspect(f"nc -vz -w 5 {target.host} {target.port}"), inspect(f"getent ahosts {target.host}")]
        return fail(expected, seen, *await _where_it_listens(context), advice=looks)
    dead = await public_endpoint.dead_addresses(context)
    if dead:
        lines = [f"{address}: {reason}" for address, reason in dead.items()]
        looks = [inspect(f"nc -vz -w 5 {address} {target.port}") for address in list(dead)[:2]]
        seen = f"{len(dead)} of its addresses don't: {lines[0]}; clients that get it have to try another"
        return warn(expected, seen, *lines, advice=[*looks, inspect(f"getent ahosts {target.host}")])
    return ok(expected, f"in {seconds * 1000:.0f} ms")


async def _certificate(context: DoctorContext) -> Answer:
    target = await target_of(context)
    expected = f"a certificate that clients trust, for {CERTIFICATE_DAYS} days more at least"
    if not target.is_tls:
        if target.is_loopback:
            return ok(expected, "none is needed: it doesn't leave this machine")
        fix = f"swimctl config set server.public_url {target.url.replace('ws://', 'wss://', 1)}"
        return warn(expected, "there is none: keys travel in clear", fix=fix)
    where = f"-connect {target.host}:{target.port} -servername {target.host}"
    fix = f"echo | openssl s_client {where} | openssl x509 -dates -noout"
    try:
        found = await public_endpoint.certificate(context)
    except (OSError, TimeoutError) as error:
        return fail(expected, f"no encryption is established: {error or 'no answer in time'}", fix=fix)
    if found.distrust is not None:
        chain = inspect(f"echo | openssl s_client {where} -showcerts")
        why = distrusted(found.distrust, found.code, found.shown, target.host)
        evidence = [found.shown.line] if found.shown is not None else []
        return fail(expected, why, *evidence, advice=[inspect(fix), chain])
    if found.days_left is not None and found.days_left < CERTIFICATE_DAYS:
        return warn(expected, f"it ends in {found.days_left} days", fix=fix)
    return ok(expected, f"{found.version}, {found.days_left} days left")


async def _upgrade(context: DoctorContext) -> Answer:
    expected = "the upgrade to WebSocket passes"
    visit = await public_endpoint.visit(context)
    if visit.is_upgraded:
        return ok(expected, "it does")
    told = {
        404: "there is no service at this path",
        426: "the proxy passes requests, not the upgrade",
        400: "the proxy passes requests, not the upgrade",
        502: "the proxy does not reach the service",
        503: "the proxy does not reach the service, or it is restarting",
        504: "the proxy does not reach the service",
        429: "this address is refused for now: it presented too many bad keys",
    }.get(visit.status or 0)
    target = await target_of(context)
    seen = f"{target.url} answers: {visit.trouble}{f': {told}' if told else ''}"
    if visit.status == 429:
        return unknown(expected, seen)
    behind = await _where_it_should_lead(context)
    return fail(expected, seen, *behind, fix="swimctl status  # its url is where the proxy must lead, upgrade included")


async def _where_it_listens(context: DoctorContext) -> list[str]:
    """Return the address the daemon listens on, if a daemon can be asked."""
    found = None if context.options.url is not None else await context.answered(context.status)
    return [] if found is None else [f"the daemon listens at {found.url}"]


async def _where_it_should_lead(context: DoctorContext) -> list[str]:
    """Return the address the daemon listens on, which a proxy must forward to."""
    if context.options.url is not None:
        return []
    return [f"the daemon listens at {(await status(context)).url}"]


async def _key_header(context: DoctorContext) -> Answer:
    expected = "a key in the Authorization header arrives"
    visit = await public_endpoint.visit(context)
    if visit.greeting is None:
        return unknown(expected, visit.trouble or "the service did not answer")
    if visit.greeting.is_in:
        return ok(expected, "it does")
    if visit.greeting.close_code == 4001 or visit.greeting.error_code == "AUTH_FAILED":
        return await _judge_refused_header(context, visit, expected)
    return unknown(expected, f"not admitted for another reason: {visit.greeting.text}")


async def _judge_refused_header(context: DoctorContext, visit: Visit, expected: str) -> Answer:
    assert visit.greeting is not None, "it was refused"
    line = (
        "proxy_set_header Authorization $http_authorization;  # nginx; Apache: CGIPassAuth is not enough, use mod_proxy"
    )
    fix = decide(line, "a line of the proxy's configuration")
    if any(word in visit.greeting.text.lower() for word in NO_KEY_WORDS):
        return fail(expected, f"the proxy takes it away: {visit.greeting.text}", fix=fix)
    if context.options.url is not None:  # never put a permanent key into a URL: proxies log it
        seen = f"the key is refused, or the proxy takes it away: {visit.greeting.text}"
        return fail(expected, seen, fix="SWIM_API_KEY=… swimctl doctor --url …")
    if await public_endpoint.is_let_in_by_query(context):
        seen = f"the proxy takes it away: in the address the same key is good, in the header {visit.greeting.text}"
        return fail(expected, seen, fix=fix)
    return ok(expected, "a key arrives, although one that the far end doesn't know")


async def _same_process(context: DoctorContext) -> Answer:
    expected = "the running process is behind the public address"
    visit = await public_endpoint.visit(context)
    fix = "swimctl status  # its url is where the proxy must lead"
    led = f"{(await target_of(context)).url} should lead to {(await status(context)).url}"
    if visit.greeting is None:
        return unknown(expected, visit.trouble or "the service did not answer")
    if visit.greeting.is_in and visit.is_ours is None:
        return unknown(expected, "the running process didn't tell")
    if visit.greeting.is_in and visit.is_ours:
        return ok(expected, "it knows the connection", *([f"coming from {visit.remote}"] if visit.remote else []))
    if visit.greeting.is_in:
        return fail(expected, "another process admitted us", led, fix=fix)
    if any(word in visit.greeting.text.lower() for word in NO_KEY_WORDS):
        return unknown(expected, "no key arrives there")
    if visit.greeting.close_code == 4001:
        seen = f"another one is: it refuses a key that this process made for it ({visit.greeting.text})"
        return fail(expected, seen, led, fix=fix)
    return unknown(expected, visit.greeting.text)


async def _greeting(context: DoctorContext) -> Answer:
    expected = "a client is admitted, greeted and answered as the protocol says"
    visit = await public_endpoint.visit(context)
    greeting = visit.greeting
    if greeting is None:
        return fail(expected, visit.trouble or "the service did not answer", fix="swimctl logs")
    if not greeting.is_in:
        return fail(expected, greeting.text, fix="swimctl keys list")
    wrong = []
    if greeting.client_id is None:
        wrong.append("connected: no client_id")
    for action, answer in (("ping", "pong"), ("subscribe", "subscribed")):
        found = visit.answers.get(action)
        if found is None:
            wrong.append(f"{action}: no answer")
        elif found.get("type") != answer:
            wrong.append(f"{action}: {str(found.get('message') or found.get('type'))[:80]}")
    if wrong:
        return fail(expected, "; ".join(wrong), *wrong, fix="swimctl logs")
    return ok(expected, f"connected as {(greeting.client_id or '')[:40]}, pong, subscribed")


async def _clock(context: DoctorContext) -> Answer:
    expected = f"the far end's clock and ours agree within {CLOCK_SECONDS:g} s"
    visit = await public_endpoint.visit(context)
    data = visit.greeting.message.get("data") if visit.greeting is not None and visit.greeting.is_in else None
    text = data.get("server_time") if isinstance(data, dict) else None
    if not isinstance(text, str):
        return unknown(expected, "it doesn't report its time")
    try:
        there = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return fail(expected, f"its time can't be read: {text[:40]!r}", fix="timedatectl status")
    apart = abs(there - visit.received)
    if apart > CLOCK_SECONDS:
        return warn(expected, f"{apart:.0f} s apart", f"theirs {text[:40]}", fix="timedatectl status")
    return ok(expected, f"{apart:.1f} s apart")


async def _idle(context: DoctorContext) -> Answer:
    return await idle_holds(context)


def _check(
    id: str,
    summary: str,
    ask: Callable[[DoctorContext], Awaitable[Answer]],
    *needs: str,
    is_deep: bool = False,
    is_outside: bool = True,
) -> Check:
    return Check(
        id=id,
        summary=summary,
        ask=_of_the_front(summary)(ask),
        needs=needs,
        is_deep=is_deep,
        is_outside=is_outside,
        is_root=id in ("front.dns", "front.tcp"),
        timeout_seconds=IDLE_SECONDS if is_deep else TIMEOUT_SECONDS,
    )


CHECKS: tuple[Check, ...] = (
    _check("front.dns", "The public address's name resolves", _dns, "config.valid"),
    _check("front.tcp", "The public address accepts connections", _tcp, "front.dns"),
    _check(
        "front.certificate", "Clients trust the certificate, and it does not expire soon", _certificate, "front.tcp"
    ),
    _check(
        "front.upgrade", "The upgrade to WebSocket passes the proxy", _upgrade, "process.answers", "front.certificate"
    ),
    _check("front.key-header", "A key in a header arrives", _key_header, "front.upgrade"),
    _check(
        "front.same-process",
        "The running process is behind the public address",
        _same_process,
        "front.key-header",
        is_outside=False,
    ),
    _check(
        "front.address",
        "The process knows clients' real addresses, whatever they claim",
        check_address,
        "front.same-process",
        is_outside=False,
    ),
    _check(
        "front.old-processes",
        "A proxy's old processes come to an end",
        check_old_processes,
        "process.answers",
        "config.valid",
        is_outside=False,
    ),
    _check(
        "front.capacity",
        "The proxy has room for more connections",
        check_capacity,
        "process.answers",
        "config.valid",
        is_outside=False,
    ),
    _check("front.answers", "A client is admitted and answered", _greeting, "front.key-header", "front.same-process"),
    _check("front.clock", "The far end's clock and ours agree", _clock, "front.answers"),
    _check(
        "front.http",
        "Plain HTTP is answered at the public address",
        http_is_answered,
        "front.same-process",
        is_outside=False,
    ),
    _check("front.idle", "The proxy keeps quiet connections open", _idle, "front.answers", is_deep=True),
)
