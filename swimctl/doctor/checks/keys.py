"""The keys: a wrong one is refused, none is stored in plain text, none expires unnoticed."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, decide, fail, ok, unknown, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted, expecting, service_url
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.wire import OPEN_SECONDS, Ended, Greeting, NotUpgraded, Target, dial

if TYPE_CHECKING:
    from swim_server.keys.records import KeyRecord

    from swimctl.doctor.context import DoctorContext

EXPIRING_DAYS = 14
UNUSED_DAYS = 30
SHOWN = 5
REFUSED, TRY_LATER = 4001, 1013
TIMEOUT_SECONDS = 5.0
REFUSAL_SECONDS = 2.5
"""A refusal may be delayed, and the key is looked up in the database first."""

_REFUSAL = "a made-up key is refused with 4001"


@expecting(_REFUSAL)
async def made_up_refused(context: DoctorContext) -> Answer:
    """Check that the real endpoint refuses an invented key."""
    where = "a visit with a made-up key"
    try:
        greeting = await context.fact("keys.made-up", lambda: _try_made_up(context), where, shape=Greeting | None)
    except NotUpgraded as error:
        if error.status == 429:
            return unknown(_REFUSAL, "this address is refused for now: it presented too many bad keys")
        if error.status in (401, 403):
            return ok(_REFUSAL, f"refused before the upgrade, {error}")
        return unknown(_REFUSAL, f"the endpoint can't be tried: {error}")
    except (Ended, ValueError) as error:
        code = error.code if isinstance(error, Ended) else None
        return ok(_REFUSAL, str(error)) if code == REFUSED else unknown(_REFUSAL, str(error))
    return _judge_refusal(greeting)


async def _try_made_up(context: DoctorContext) -> Greeting | None:
    """Connect to the endpoint with an invented key. Raises NotUpgraded, Ended, ValueError, CannotAsk."""
    from swim_server.keys.format import Tier, generate

    api_key = generate(Tier.DEVELOPER, secrets.token_bytes)
    url = context.options.url
    if url is None:
        await acted(context, "probe_refusal", dict, digest=hashlib.sha256(api_key.encode()).hexdigest())
        url = await service_url(context)
    async with dial(Target.parse(url), api_key, open_seconds=context.within(OPEN_SECONDS)) as wire:
        return await wire.greet(context.within(REFUSAL_SECONDS))


def _judge_refusal(greeting: Greeting | None) -> Answer:
    fix = decide("swimctl stop", "immediately, since anyone who knows the address gets in; it closes every connection")
    if greeting is None:
        return unknown(_REFUSAL, "neither refused nor admitted: there was no answer")
    if greeting.is_in:
        return fail(_REFUSAL, "it was ADMITTED", fix=fix)
    if greeting.close_code == REFUSED:
        return ok(_REFUSAL, greeting.text)
    if greeting.close_code == TRY_LATER or greeting.error_code == "AUTH_UNAVAILABLE":
        return unknown(
            _REFUSAL,
            f"not admitted, but its key was not checked either: {greeting.text}",
            "swimctl doctor --only database",
        )
    if greeting.error_code is not None:
        return fail(
            _REFUSAL, f"refused in a way that clients do not understand: {greeting.text}", fix="swimctl restart"
        )
    return fail(_REFUSAL, "it was neither refused nor admitted as the protocol says", fix="swimctl restart")


async def hashed(context: DoctorContext) -> Answer:
    """Check that no key is stored in plain text."""
    expected = "every key is stored hashed"
    records = await _rows(context)
    plain = [record for record in records if record.is_plaintext]
    if not plain:
        return ok(expected, f"{len(records)} keys")
    seen = f"{len(plain)} of {len(records)} can be read by anyone who reads the table"
    return warn(expected, seen, *_shown(plain), fix="swimctl keys harden --yes")


async def expiring(context: DoctorContext) -> Answer:
    """Check that no key in use expires unnoticed; a newer key of the same owner and tier counts as noticed."""
    expected = f"no key ends within {EXPIRING_DAYS} days"
    now = context.utc_now
    records = await _rows(context)
    soon = sorted(
        (
            (record.expires_at, record)
            for record in records
            if record.is_active
            and record.expires_at is not None
            and now < record.expires_at <= now + timedelta(days=EXPIRING_DAYS)
            and not any(_succeeds(other, record) for other in records)
        ),
        key=lambda pair: (pair[0], pair[1].id),
    )
    if not soon:
        return ok(expected, "none")
    lines = tuple(f"{_named(record)} ends {ends_at:%Y-%m-%d}" for ends_at, record in soon[:SHOWN])
    fix = f"swimctl keys rotate {soon[0][1].id}"
    return warn(expected, f"{len(soon)}, the first: {lines[0]}", *lines, fix=fix)


def _succeeds(other: KeyRecord, record: KeyRecord) -> bool:
    return (
        other.is_active
        and other.id > record.id
        and (other.owner_name, other.tier) == (record.owner_name, record.tier)
        and (other.expires_at is None or (record.expires_at is not None and other.expires_at > record.expires_at))
    )


async def used(context: DoctorContext) -> Answer:
    """Check that every key has been used."""
    expected = f"every key was used within {UNUSED_DAYS} days of being made"
    now = context.utc_now
    unused = [
        record
        for record in await _rows(context)
        if record.is_active
        and not record.is_expired(now)
        and record.last_used_at is None
        and record.created_at is not None
        and now - record.created_at > timedelta(days=UNUSED_DAYS)
    ]
    if not unused:
        return ok(expected, "all were")
    seen = f"{len(unused)} never were: nobody would notice if one were stolen"
    return warn(expected, seen, *_shown(unused), fix=f"swimctl keys revoke {unused[0].id}")


async def owned(context: DoctorContext) -> Answer:
    """Check that every key that may publish has an owner."""
    expected = "every key of the system tier has an owner"
    now = context.utc_now
    system = [record for record in await _rows(context) if record.tier == "system" and record.unknown_tier is None]
    nobodys = [
        record for record in system if record.is_active and not record.is_expired(now) and not record.owner_name.strip()
    ]
    if not nobodys:
        return ok(expected, f"{len(system)} keys")
    fix = f"swimctl keys create --tier system --owner NAME && swimctl keys revoke {nobodys[0].id}"
    return warn(expected, f"{len(nobodys)} may publish and have no owner", *_shown(nobodys), fix=fix)


async def tiered(context: DoctorContext) -> Answer:
    """Check that no key is refused because of the values in its row."""
    expected = "every key has one of the four tiers"
    wrong = [record for record in await _rows(context) if record.is_active and record.unknown_tier is not None]
    if not wrong:
        return ok(expected, "each has")
    lines = [f"{_named(record)}: {str(record.unknown_tier)[:30]!r}" for record in wrong[:SHOWN]]
    fix = f"swimctl keys revoke {wrong[0].id}"
    return warn(expected, f"{len(wrong)} have none, and are refused", *lines, fix=fix)


async def _rows(context: DoctorContext) -> list[KeyRecord]:
    from swim_server.sql.errors import StoreError

    try:
        return list((await key_database.rows(context)).values())
    except StoreError as error:
        raise CannotAsk(str(error), "swimctl db status") from None


def _shown(records: Iterable[KeyRecord]) -> list[str]:
    return [_named(record) for record in list(records)[:SHOWN]]


def _named(record: KeyRecord) -> str:
    return f"key {record.id} of {record.owner_name[:40] or 'nobody'}"


def _of_the_table(id: str, summary: str, expected: str, ask: object) -> Check:
    return Check(
        id=id,
        summary=summary,
        ask=expecting(expected)(ask),  # type: ignore[arg-type]  # a function of one context
        needs=("database.schema",),
        timeout_seconds=TIMEOUT_SECONDS,
    )


CHECKS: tuple[Check, ...] = (
    Check(
        id="keys.made-up-refused",
        summary="A made-up key is refused by the real endpoint",
        ask=made_up_refused,
        needs=("process.answers", "database.in-use"),
        needs_outside=("front.certificate",),
        is_outside=True,
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    _of_the_table("keys.hashed", "No key is stored in plain text", "every key is stored hashed", hashed),
    _of_the_table("keys.expiring", "No key expires unnoticed", "no key ends soon", expiring),
    _of_the_table("keys.used", "No key is left unused", "every key was used", used),
    _of_the_table("keys.owned", "Every key that may publish has an owner", "every system key has an owner", owned),
    _of_the_table("keys.tiered", "Every key has one of the four tiers", "each has one of the four tiers", tiered),
)
