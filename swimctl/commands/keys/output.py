"""How keys, changes and audit trail are printed. Knows no store: rows in, output out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from swimctl import standard_streams
from swimctl.errors import CommandFailed
from swimctl.key_access import connections_of, key_document, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swim_server.keys.records import KeyRecord
    from swim_server.keys.store import IssuedKey, KeyStore

    from swimctl.invocation import Invocation
    from swimctl.output import Output

STATE_STYLES = {"active": "green", "expiring": "yellow", "expired": "dim", "revoked": "red"}


@contextmanager
def revoked_if_not_shown(store: KeyStore, issued: IssuedKey, *, replaces: KeyRecord | None = None) -> Iterator[None]:
    """Revoke a new key that could not be shown, as nobody would ever know it. Raises CommandFailed, which names it.

    ``replaces``: the key it was to replace, as it was before; its former expiry is restored.
    """
    try:
        yield
    except OSError as error:
        from swim_server.keys.audit import operating_user

        reason = error.strerror or str(error)
        store.revoke(issued.record.id, "it could not be shown", operating_user())
        if replaces is not None:
            store.expire(replaces.id, replaces.expires_at, operating_user())
        standard_streams.discard_output()
        raise CommandFailed(
            f"the new key could not be shown: {reason}; key {issued.record.id} is revoked again",
            "run it again with a writable standard output",
        ) from None


def show_issued(
    invocation: Invocation, output: Output, issued: IssuedKey, *, replaces: dict[str, Any] | None = None
) -> None:
    """Print a new key: as JSON, or the key alone on standard output and its details on standard error."""
    record = issued.record
    if output.as_json:
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
    messages.line("It is shown only once:")
    if output.is_terminal:
        messages.line()
    output.line(issued.api_key)
    if output.is_terminal:
        messages.line()


def tell_change(output: Output, record: KeyRecord, closed: int | None) -> None:
    """Report what happened to a key and its live connections."""
    from swim_server.keys.permissions import KeyState, state_of

    from swimctl.text import cell, plural

    now = utc_now()
    if output.as_json:
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


def show_record(invocation: Invocation, output: Output, store: KeyStore, record: KeyRecord) -> None:
    """Print one key with its connections and audit trail."""
    from swimctl.table import Column

    connections = connections_of(invocation, record.id)
    document = key_document(record, utc_now(), None if connections is None else len(connections))
    trail = audit_rows(store.audit(record.id))
    if output.as_json:
        output.document(document | {"connections": connections, "audit": trail})
        return
    output.details([(name.replace("_", " "), value) for name, value in document.items()], document)
    if connections:
        names = {"id": "connection", "remote": "from", "connected_at": "since", "messages_sent": "sent"}
        output.table([Column(name, heading) for name, heading in names.items()], connections)
    if trail:
        output.table(audit_columns(), trail)


def key_columns() -> list[Any]:
    """Return the columns of ``keys list``."""
    from swimctl.table import Column
    from swimctl.text import short_timestamp

    return [
        Column("id", "ID", justify="right", style="bold", is_whole=True),
        Column("hint", "key", style="cyan", is_whole=True),
        Column("tier", "tier"),
        Column("owner_name", "owner", is_flexible=True),
        Column("state", "state", styles=STATE_STYLES),
        Column("created_at", "created", show=short_timestamp, rank=3),
        Column("expires_at", "expires", show=short_timestamp, rank=1),
        Column("last_used_at", "last used", show=short_timestamp, rank=2),
        Column("live_connections", "live", justify="right"),
    ]


def audit_columns() -> list[Any]:
    """Return the columns of ``keys audit``."""
    from swimctl.table import Column

    return [
        Column("at", "when"),
        Column("action", "what", style="bold"),
        Column("key_id", "key", justify="right"),
        Column("actor", "who"),
        Column("origin", "from"),
        Column("detail", "detail"),
    ]


def audit_rows(entries: Any) -> list[dict[str, Any]]:
    """Convert audit trail entries to rows."""
    return [{name: getattr(entry, name) for name in entry.__struct_fields__} for entry in entries]
