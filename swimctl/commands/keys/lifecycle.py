"""``swimctl keys create | expire | revoke | accept | rotate``: commands that change one key."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from swimctl.commands.keys.options import Json, KeyId, Yes, app, parse_moment_option, parse_tier
from swimctl.commands.keys.output import revoked_if_not_shown, show_issued, tell_change
from swimctl.completion.words import tiers
from swimctl.errors import WrongUsage
from swimctl.invocation import invocation_of
from swimctl.key_access import announce_changes, end_in_memory, explain, open_store, warn_if_unaudited


@app.command()
def create(
    context: typer.Context,
    *,
    tier: Annotated[
        str, typer.Option("--tier", metavar="T", autocompletion=tiers, help="public, developer, partner or system.")
    ],
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="The key's owner.")],
    email: Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="The owner's email address.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What the key is for.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="90d, 2027-01-31 (UTC, its first second) or never.")
    ] = "never",
    allow_ip: Annotated[
        list[str] | None,
        typer.Option("--allow-ip", metavar="CIDR", help="Allow connections only from this network; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key and show it once.

    The key is printed to standard output, alone on a line. It is stored hashed and can't be shown again.

    \b
    Examples:
      swimctl keys create --tier developer --owner "Ada Lovelace" --expires 90d
      swimctl keys create --tier system --owner feeder --allow-ip 192.0.2.0/24
      export SWIM_API_KEY=$(swimctl keys create --tier public --owner me)
    """
    from swim_server.keys.audit import operating_user
    from swim_server.keys.new_key import NewKey

    invocation = invocation_of(context)
    new_key = NewKey(
        tier=parse_tier(tier),
        owner_name=owner,
        owner_email=email,
        description=description,
        expires_at=parse_moment_option("--expires", expires),
        ip_whitelist=tuple(allow_ip) if allow_ip else None,
    )
    output = invocation.data_output(as_json=as_json)
    with open_store(invocation) as store:
        issued = store.create(new_key, operating_user())
        warn_if_unaudited(invocation, store)
        with revoked_if_not_shown(store, issued):
            show_issued(invocation, output, issued)
    announce_changes(invocation, [issued.record.id])


@app.command()
def expire(
    context: typer.Context,
    key_id: KeyId,
    at: Annotated[str, typer.Option("--at", metavar="WHEN", help="now, 7d, 2027-01-31 or never.")] = "now",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set when a key expires: now or later. Its live connections close at that time. Use --at again to change or undo
    it.

    \b
    Examples:
      swimctl keys expire 7
      swimctl keys expire 7 --at 2027-01-31
      swimctl keys expire 7 --at never
    """
    from swim_server.keys.audit import operating_user
    from swim_server.sql.errors import StoreUnavailable

    from swimctl.output import require_yes

    invocation = invocation_of(context)
    moment = parse_moment_option("--at", at)
    with open_store(invocation) as store:
        if sys.stdin.isatty() and moment is not None and moment <= datetime.now(UTC):
            # It can be undone: scripts need no --yes, only people are asked.
            record = store.get(key_id)
            question = f"Expire key {key_id} ({record.hint}, {record.tier}, {record.owner_name}) now?"
            require_yes(question, yes=yes)
        output = invocation.output(as_json=as_json)
        began = time.monotonic()
        actor = operating_user()
        try:
            record = store.expire(key_id, moment, actor)
        except StoreUnavailable as error:
            is_now = moment is not None and moment <= datetime.now(UTC)
            raise (end_in_memory(invocation, key_id, error, actor) if is_now else explain(error)) from error
        warn_if_unaudited(invocation, store)
    tell_change(output, record, announce_changes(invocation, [key_id], since=began))


@app.command()
def revoke(
    context: typer.Context,
    key_id: KeyId,
    reason: Annotated[str | None, typer.Option("--reason", metavar="R", help="Reason for the audit trail.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Revoke a key permanently. Reports how many live connections were closed once it is in effect.

    \b
    Examples:
      swimctl keys revoke 7 --reason "found in a public repository"
      swimctl keys revoke 7 --yes --json
    """
    from swim_server.keys.audit import operating_user
    from swim_server.sql.errors import StoreUnavailable

    from swimctl.output import require_yes

    invocation = invocation_of(context)
    with open_store(invocation) as store:
        record = store.get(key_id)
        question = f"Revoke key {key_id} ({record.hint}, {record.tier}, {record.owner_name}) permanently?"
        require_yes(question, yes=yes)
        output = invocation.output(as_json=as_json)
        began = time.monotonic()
        actor = operating_user()
        try:
            record = store.revoke(key_id, reason, actor)
        except StoreUnavailable as error:
            raise end_in_memory(invocation, key_id, error, actor, is_for_good=True, reason=reason) from error
        warn_if_unaudited(invocation, store)
    tell_change(output, record, announce_changes(invocation, [key_id], since=began, expected="revoked"))


@app.command()
def accept(context: typer.Context, key_id: KeyId, yes: Yes = False, as_json: Json = False) -> None:
    """Accept a key's row that was changed outside swimctl.

    Use it for a row that doctor reports as damaged or changed by hand. Only for SQLite databases.

    \b
    Examples:
      swimctl keys accept 7
    """
    from swim_server.keys.audit import operating_user

    from swimctl.output import require_yes

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with open_store(invocation) as store:
        record = store.get(key_id)
        question = f"Accept the row of key {key_id} ({record.hint}, {record.tier}, {record.owner_name}) as it is?"
        require_yes(question, yes=yes)
        record = store.accept(key_id, operating_user())
        warn_if_unaudited(invocation, store)
    tell_change(output, record, announce_changes(invocation, [key_id]))


@app.command()
def rotate(
    context: typer.Context,
    key_id: KeyId,
    overlap: Annotated[str, typer.Option("--overlap", metavar="TIME", help="How long both keys are valid.")] = "24h",
    as_json: Json = False,
) -> None:
    """Create a key that replaces another.

    The old key expires after the overlap. The new key has the same owner, tier, rights and period of validity.

    \b
    Examples:
      swimctl keys rotate 7
      swimctl keys rotate 7 --overlap 7d --json
    """
    from swim_server.config.durations import InvalidDuration, parse_duration
    from swim_server.keys.audit import operating_user

    invocation = invocation_of(context)
    try:
        seconds = parse_duration(overlap)
    except InvalidDuration as error:
        raise WrongUsage(f"--overlap: {error}") from None
    output = invocation.data_output(as_json=as_json)
    with open_store(invocation) as store:
        before = store.get(key_id)
        issued = store.rotate(key_id, timedelta(seconds=seconds), operating_user())
        old = store.get(key_id)
        warn_if_unaudited(invocation, store)
        with revoked_if_not_shown(store, issued, replaces=before):
            show_issued(invocation, output, issued, replaces={"id": old.id, "expires_at": old.expires_at})
    announce_changes(invocation, [key_id, issued.record.id])
