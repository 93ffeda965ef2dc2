"""``swimctl keys …``: the life of API keys."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swimctl.app import command_group
from swimctl.errors import NotFound, WrongUsage
from swimctl.invocation import Invocation, invocation_of
from swimctl.key_access import (
    announce_changes,
    connections_of,
    key_document,
    live_connections,
    open_store,
    utc_now,
    warn_if_unaudited,
)

if TYPE_CHECKING:
    from datetime import datetime

    from swim_server.keys.format import Tier
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.store import IssuedKey, KeyStore

app = command_group("Create, list, expire and revoke API keys.")

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
KeyId = Annotated[int, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.", min=1)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]

STATE_STYLES = {"active": "green", "expiring": "yellow", "expired": "dim", "revoked": "red"}


@app.command()
def create(
    context: typer.Context,
    tier: Annotated[str, typer.Option("--tier", metavar="T", help="public, developer, partner or system.")],
    owner: Annotated[str, typer.Option("--owner", metavar="NAME", help="Whose key it is.")],
    email: Annotated[str | None, typer.Option("--email", help="The owner's address.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="What it is for.")] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="90d, 2027-01-31 (UTC, its first second) or never.")
    ] = "never",
    allow_ip: Annotated[
        list[str] | None, typer.Option("--allow-ip", metavar="CIDR", help="Only from there; several times for several.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once.

    Standard output gets the key alone on a line; it is stored hashed and can't be shown again.

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
    with open_store(invocation) as store:
        issued = store.create(new_key, operating_user())
        warn_if_unaudited(invocation, store)
    show_issued(invocation, issued, as_json=as_json)
    announce_changes(invocation, [issued.record.id])


@app.command("list")
def list_keys(
    context: typer.Context,
    tier: Annotated[str | None, typer.Option("--tier", metavar="T", help="Only of this tier.")] = None,
    state: Annotated[
        str, typer.Option("--state", metavar="S", help="active, expiring (within 14 days), expired, revoked or all.")
    ] = "all",
    owner: Annotated[str | None, typer.Option("--owner", metavar="X", help="Only whose owner's name has this.")] = None,
    as_json: Json = False,
) -> None:
    """List keys. Never shows one: the hint is enough to recognise it by.

    \b
    Examples:
      swimctl keys list
      swimctl keys list --state expiring --json
      swimctl keys list --tier partner --owner vatsim
    """
    from swim_server.keys.permissions import KeyState

    invocation = invocation_of(context)
    if state not in {*KeyState, "all"}:
        raise WrongUsage(f"--state: there is no state {state!r}", "those that exist: active, expiring, expired, revoked, all")
    wanted_state = None if state == "all" else KeyState(state)
    wanted_tier = None if tier is None else parse_tier(tier)
    with open_store(invocation) as store:
        records = store.list(tier=wanted_tier, state=wanted_state, owner=owner)
    live, now = live_connections(invocation), utc_now()
    rows = [key_document(record, now, None if live is None else live.get(record.id, 0)) for record in records]
    invocation.output(as_json=as_json).table(key_columns(), rows, empty="no keys; make one with: swimctl keys create")


@app.command()
def show(context: typer.Context, key_id: KeyId, as_json: Json = False) -> None:
    """Show one key: its row, its live connections, its audit trail.

    \b
    Examples:
      swimctl keys show 7
      swimctl keys show 7 --json
    """
    invocation = invocation_of(context)
    with open_store(invocation) as store:
        show_record(invocation, store, store.get(key_id), as_json=as_json)


@app.command()
def find(context: typer.Context, as_json: Json = False) -> None:
    """Find the row of a key that is read from standard input, so that it stands in no list of processes.

    \b
    Examples:
      swimctl keys find                 (asks for the key and doesn't show it)
      swimctl keys find < key.txt
    """
    from swim_server.keys.format import KeyShape, classify

    invocation = invocation_of(context)
    api_key = read_key_from_input()
    problems = {
        KeyShape.MISSING: "no key was given",
        KeyShape.MALFORMED: "this can't be a key: blanks, odd characters, too long, or the stored form of one",
        KeyShape.MISTYPED: "this key is mistyped: its checksum does not fit",
    }
    if problem := problems.get(classify(api_key)):
        raise NotFound(problem)
    with open_store(invocation) as store:
        record = store.find(api_key)
        if record is None:
            raise NotFound("no such key is known")
        show_record(invocation, store, record, as_json=as_json)


@app.command()
def expire(
    context: typer.Context,
    key_id: KeyId,
    at: Annotated[str, typer.Option("--at", metavar="WHEN", help="now, 7d, 2027-01-31 or never.")] = "now",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Set when a key ends: now, or then. Live connections close at that moment. Can be taken back with --at.

    \b
    Examples:
      swimctl keys expire 7
      swimctl keys expire 7 --at 2027-01-31
      swimctl keys expire 7 --at never
    """
    from swim_server.keys.audit import operating_user

    invocation = invocation_of(context)
    moment = parse_moment_option("--at", at)
    with open_store(invocation) as store:
        record = store.expire(key_id, moment, operating_user())
        warn_if_unaudited(invocation, store)
    tell_change(invocation, record, announce_changes(invocation, [key_id]), as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    key_id: KeyId,
    reason: Annotated[str | None, typer.Option("--reason", metavar="R", help="Why, for the audit trail.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """End a key for good. Returns when it is true, and says how many live connections were closed.

    \b
    Examples:
      swimctl keys revoke 7 --reason "found in a public repository"
      swimctl keys revoke 7 --yes --json
    """
    from swim_server.keys.audit import operating_user
    from swimctl.output import confirm

    invocation = invocation_of(context)
    with open_store(invocation) as store:
        record = store.get(key_id)
        question = f"Revoke key {key_id} ({record.hint}, {record.tier}, {record.owner_name}) for good?"
        if not confirm(question, yes=yes):
            raise typer.Abort
        record = store.revoke(key_id, reason, operating_user())
        warn_if_unaudited(invocation, store)
    tell_change(invocation, record, announce_changes(invocation, [key_id]), as_json=as_json)


@app.command()
def rotate(
    context: typer.Context,
    key_id: KeyId,
    overlap: Annotated[str, typer.Option("--overlap", metavar="TIME", help="How long both are valid.")] = "24h",
    as_json: Json = False,
) -> None:
    """Make a new key for the same owner; the old one expires after the overlap.

    The new key is like the old one in everything, and valid for as long as that one was made for.

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
    with open_store(invocation) as store:
        issued = store.rotate(key_id, timedelta(seconds=seconds), operating_user())
        old = store.get(key_id)
        warn_if_unaudited(invocation, store)
    replaces = {"id": old.id, "expires_at": old.expires_at}
    show_issued(invocation, issued, as_json=as_json, replaces=replaces)
    announce_changes(invocation, [key_id, issued.record.id])


@app.command("import")
def import_keys(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a heading, or JSON; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Import keys that exist elsewhere. They are stored hashed; a key that is known already is left as it is.

    Columns, or fields: api_key, owner_name, and any of tier (else told by the key's prefix), owner_email, description,
    expires_at, created_at, is_active, ip_whitelist, allowed_sources, source_id, can_write, owner_cid. All or nothing.

    \b
    Examples:
      swimctl keys import keys.csv
      swimctl keys import - --json < keys.json
    """
    from swim_server.keys.audit import operating_user
    from swim_server.keys.importing import InvalidImport, parse_keys

    invocation = invocation_of(context)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
        parsed = parse_keys(text)
    except InvalidImport as error:
        raise WrongUsage(f"{file}: {error}", "nothing was imported") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{file}: not a text in UTF-8", "nothing was imported") from None
    with open_store(invocation) as store:
        from swim_server.keys.bulk import import_keys as import_into

        outcome = import_into(store, parsed, operating_user(), utc_now())
        warn_if_unaudited(invocation, store)
    output = invocation.output(as_json=as_json)
    if as_json:
        output.document({"imported": outcome.imported, "existing": outcome.existing})
    else:
        output.line(f"imported {len(outcome.imported)}, known already {len(outcome.existing)}")
        if str(file) != "-":
            invocation.messages().line(f"{file} still holds the keys: remove it when it is no longer needed")
    announce_changes(invocation, outcome.imported[:1])  # one is enough to make the daemon forget what it didn't know


@app.command()
def harden(context: typer.Context, yes: Yes = False, as_json: Json = False) -> None:
    """Hash the keys that the former system left in plain text. They stay valid; a program that reads them doesn't.

    \b
    Examples:
      swimctl keys harden
      swimctl keys harden --yes --json
    """
    from swim_server.keys.audit import operating_user
    from swim_server.keys.bulk import harden as harden_keys
    from swim_server.keys.bulk import plain_keys
    from swimctl.output import confirm
    from swimctl.text import plural

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json)
    with open_store(invocation) as store:
        number = len(plain_keys(store))
        question = f"Hash {plural(number, 'key')} for good? The former system can no longer check them afterwards."
        if number and not confirm(question, yes=yes):
            raise typer.Abort
        hardened = harden_keys(store, operating_user(), utc_now()) if number else []
        warn_if_unaudited(invocation, store)
    if as_json:
        output.document({"hardened": hardened})
    else:
        output.line(f"hashed {plural(len(hardened), 'key')}" if hardened else "every key is stored hashed already")


@app.command()
def audit(
    context: typer.Context,
    key_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="Only about this key.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many lines, the newest ones.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Show who did what to which key, when and from where; refused connections too. Newest first.

    \b
    Examples:
      swimctl keys audit
      swimctl keys audit 7 --limit 20 --json
    """
    invocation = invocation_of(context)
    with open_store(invocation) as store:
        if key_id is not None:
            store.get(key_id)
        entries = store.audit(key_id, limit=limit)
    invocation.output(as_json=as_json).table(audit_columns(), audit_rows(entries), empty="nothing was done yet")


# What the commands share


def parse_tier(text: str) -> Tier:
    """Read a tier's name. Raises WrongUsage with the four that exist."""
    from swim_server.keys.format import Tier

    try:
        return Tier(text.strip().lower())
    except ValueError:
        known = ", ".join(Tier)
        raise WrongUsage(f"--tier: there is no tier {text!r}", f"the four that exist: {known}") from None


def parse_moment_option(option: str, text: str) -> datetime | None:
    """Read a moment given to an option. Raises WrongUsage."""
    from swimctl.when import InvalidMoment, parse_moment

    try:
        return parse_moment(text, utc_now())
    except InvalidMoment as error:
        raise WrongUsage(f"{option}: {error}") from None


def read_key_from_input() -> str:
    """Read a key from standard input; on a terminal ask for it without showing it."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Key (not shown): ").strip()
    return sys.stdin.read(65_536).strip()


def show_issued(
    invocation: Invocation, issued: IssuedKey, *, as_json: bool, replaces: dict[str, Any] | None = None
) -> None:
    """Show a new key: JSON, or the key alone on standard output and what it is on standard error."""
    record = issued.record
    output = invocation.output(as_json=as_json)
    if as_json:
        document = {
            "id": record.id,
            "api_key": issued.api_key,
            "tier": record.tier,
            "owner_name": record.owner_name,
            "expires_at": record.expires_at,
            "created_at": record.created_at,
        }
        output.document(document | ({"replaces": replaces} if replaces else {}))
        return
    from swimctl.text import cell

    messages = invocation.messages()
    until = f"valid until {cell(record.expires_at)}" if record.expires_at else "valid until it is expired or revoked"
    messages.line(f"Key {record.id}, {record.tier}, for {cell(record.owner_name)}, {until}.")
    if replaces:
        messages.line(f"Key {replaces['id']} stays valid until {cell(replaces['expires_at'])}.")
    messages.line("It is shown this once:")
    if output.is_terminal:
        messages.line()
    output.line(issued.api_key)
    if output.is_terminal:
        messages.line()


def tell_change(invocation: Invocation, record: KeyRecord, closed: int | None, *, as_json: bool) -> None:
    """Say what became of a key, and of its live connections."""
    from swim_server.keys.permissions import KeyState, state_of
    from swimctl.text import cell, plural

    now = utc_now()
    output = invocation.output(as_json=as_json)
    if as_json:
        output.document(key_document(record, now, None) | {"closed_connections": closed})
        return
    state = state_of(record, now)
    if state in {KeyState.REVOKED, KeyState.EXPIRED}:
        what = f"key {record.id} is {state}"
    else:
        what = f"key {record.id} ends at {cell(record.expires_at)}" if record.expires_at else f"key {record.id} never ends"
    connections = "the daemon is not running" if closed is None else f"{plural(closed, 'live connection')} closed"
    output.line(f"{what}; {connections}")


def show_record(invocation: Invocation, store: KeyStore, record: KeyRecord, *, as_json: bool) -> None:
    """Show one key with its connections and its audit trail."""
    from swimctl.output import Column

    connections = connections_of(invocation, record.id)
    document = key_document(record, utc_now(), None if connections is None else len(connections))
    trail = audit_rows(store.audit(record.id))
    output = invocation.output(as_json=as_json)
    if as_json:
        output.document(document | {"connections": connections, "audit": trail})
        return
    output.details([(name.replace("_", " "), value) for name, value in document.items()])
    if connections:
        names = {"id": "connection", "remote": "from", "connected_at": "since", "messages_sent": "sent"}
        output.table([Column(name, heading) for name, heading in names.items()], connections)
    if trail:
        output.table(audit_columns(), trail)


def key_columns() -> list[Any]:
    """The columns of ``keys list``."""
    from swimctl.output import Column
    from swimctl.text import short_timestamp

    return [
        Column("id", "ID", justify="right", style="bold"),
        Column("hint", "key", style="cyan"),
        Column("tier", "tier"),
        Column("owner_name", "owner"),
        Column("state", "state", styles=STATE_STYLES),
        Column("created_at", "created", show=short_timestamp, min_width=100),
        Column("expires_at", "expires", show=short_timestamp),
        Column("last_used_at", "last used", show=short_timestamp, min_width=100),
        Column("live_connections", "live", justify="right"),
    ]


def audit_columns() -> list[Any]:
    """The columns of ``keys audit``."""
    from swimctl.output import Column

    return [
        Column("at", "when"),
        Column("action", "what", style="bold"),
        Column("key_id", "key", justify="right"),
        Column("actor", "who"),
        Column("origin", "from"),
        Column("detail", "detail"),
    ]


def audit_rows(entries: Any) -> list[dict[str, Any]]:
    """Lines of the audit trail as rows."""
    return [{name: getattr(entry, name) for name in entry.__struct_fields__} for entry in entries]
