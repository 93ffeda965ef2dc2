"""``swimctl keys list | show | find | audit``: commands that only read."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from swimctl.arguments.output import Header, Piped, PipedFormat
from swimctl.commands.keys.options import GREATEST_ID, Json, KeyId, app, parse_tier
from swimctl.commands.keys.output import audit_columns, audit_rows, key_columns, show_record
from swimctl.completion.words import key_ids, key_states, tiers
from swimctl.errors import NotFound, WrongUsage
from swimctl.invocation import invocation_of
from swimctl.key_access import explain, key_document, list_by_daemon, live_connections, read_store, utc_now


@app.command("list")
def list_keys(
    context: typer.Context,
    tier: Annotated[
        str | None, typer.Option("--tier", metavar="T", autocompletion=tiers, help="Only keys of this tier.")
    ] = None,
    state: Annotated[
        str,
        typer.Option(
            "--state",
            metavar="S",
            autocompletion=key_states,
            help="active, expiring (within 14 days), expired, revoked or all.",
        ),
    ] = "all",
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="X", help="Only keys whose owner's name contains this text.")
    ] = None,
    as_json: Json = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """List keys. The key itself is never shown, only a hint to recognise it by.

    \b
    Examples:
      swimctl keys list
      swimctl keys list --state expiring --json
      swimctl keys list --tier partner --owner vatsim
    """
    from swim_server.keys.permissions import KeyState, chosen_keys

    invocation = invocation_of(context)
    if state not in {*KeyState, "all"}:
        raise WrongUsage(
            f"--state: there is no state {state!r}", "those that exist: active, expiring, expired, revoked, all"
        )
    wanted_state = None if state == "all" else KeyState(state)
    wanted_tier = None if tier is None else parse_tier(tier)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    found, now = list_by_daemon(invocation), utc_now()
    if found is not None:
        records = chosen_keys(found.keys, now, tier=wanted_tier, state=wanted_state, owner=owner)
        live: dict[int, int] | None = {int(key_id): count for key_id, count in found.live.items()}
    else:
        with read_store(invocation) as store:
            records = [] if store is None else store.list(tier=wanted_tier, state=wanted_state, owner=owner)
        live = live_connections(invocation)
    rows = [key_document(record, now, None if live is None else live.get(record.id, 0)) for record in records]
    output.table(key_columns(), rows, empty="no keys; create one with: swimctl keys create")


@app.command()
def show(
    context: typer.Context,
    key_id: KeyId,
    as_json: Json = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Show one key: its row, its live connections, its audit trail.

    \b
    Examples:
      swimctl keys show 7
      swimctl keys show 7 --json
    """
    from swim_server.keys.errors import KeyNotFound

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    with read_store(invocation) as store:
        if store is None:
            raise explain(KeyNotFound(key_id))
        show_record(invocation, output, store, store.get(key_id))


@app.command()
def find(
    context: typer.Context,
    as_json: Json = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Find a key's row by the key itself.

    The key is read from standard input; it is not an argument, because other users can see those.

    \b
    Examples:
      swimctl keys find                 (asks for the key and doesn't show it)
      swimctl keys find < key.txt
    """
    from swim_server.keys.format import KeyShape, classify

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    api_key = read_key_from_input()
    if not api_key:
        raise WrongUsage("no key was given on standard input", "swimctl keys find < key.txt")
    problems = {
        KeyShape.MALFORMED: "this can't be a key: it has blanks or odd characters, is too long, or is a stored digest",
        KeyShape.MISTYPED: "this key is mistyped: its checksum does not match",
    }
    if problem := problems.get(classify(api_key)):
        raise NotFound(problem)
    with read_store(invocation) as store:
        record = None if store is None else store.find(api_key)
        if store is None or record is None:
            raise NotFound("this key is not known")
        show_record(invocation, output, store, record)


@app.command()
def audit(
    context: typer.Context,
    key_id: Annotated[
        int | None,
        typer.Argument(
            metavar="[ID]", autocompletion=key_ids, help="Only entries about this key.", min=1, max=GREATEST_ID
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show the newest N entries.", min=1)] = 200,
    as_json: Json = False,
    header: Header = False,
    piped: Piped = PipedFormat.V2,
) -> None:
    """Show who did what to which key.

    Each entry has its time and origin; refused connections are listed too. Newest first.

    \b
    Examples:
      swimctl keys audit
      swimctl keys audit 7 --limit 20 --json
    """
    from swim_server.keys.errors import KeyNotFound

    invocation = invocation_of(context)
    output = invocation.output(as_json=as_json).piped_as(header=header, version=piped)
    with read_store(invocation) as store:
        if key_id is not None:
            if store is None:
                raise explain(KeyNotFound(key_id))
            store.get(key_id)
        entries = [] if store is None else store.audit(key_id, limit=limit)
    output.table(audit_columns(), audit_rows(entries), empty="nothing was done yet")


def read_key_from_input() -> str:
    """Read a key from standard input; on a terminal, prompt for it without echo."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Key (not shown): ").strip()
    return sys.stdin.read(65_536).strip()
