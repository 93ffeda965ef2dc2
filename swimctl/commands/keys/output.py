"""How keys, their changes and their audit trail are shown. Pure of the store: rows in, output out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swimctl.key_access import connections_of, key_document, utc_now

if TYPE_CHECKING:
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.store import IssuedKey, KeyStore

    from swimctl.invocation import Invocation

STATE_STYLES = {"active": "green", "expiring": "yellow", "expired": "dim", "revoked": "red"}


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
        what = (
            f"key {record.id} ends at {cell(record.expires_at)}" if record.expires_at else f"key {record.id} never ends"
        )
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
    """Return the columns of ``keys list``."""
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
    """Return the columns of ``keys audit``."""
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
