"""Live connections as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from swimctl.table import Column
from swimctl.text import cell, clean, count, duration, size

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.connections import ConnectionDocument

SUBSCRIBED_WITHIN_SECONDS = 60.0
"""Clients without a subscription after this time are reported."""
OWNERS_SHOWN = 5

COLUMNS: tuple[Column, ...] = (
    Column("id", "ID", style="cyan", is_whole=True),
    Column("tier", "TIER"),
    Column("key_id", "KEY", justify="right"),
    Column("key_hint", "HINT", rank=8),
    Column("owner", "OWNER", is_flexible=True, rank=7),
    Column("remote", "REMOTE", rank=4),
    Column("since", "SINCE", justify="right", rank=3),
    Column("subscriptions", "SUBSCRIPTIONS", is_flexible=True, rank=2),
    Column("messages_sent", "SENT", justify="right", show=count, rank=5),
    Column("buffered_bytes", "BUFFERED", justify="right", show=size, rank=6),
    Column("state", "STATE", styles={"lagging": "yellow", "resuming": "cyan"}, rank=1),
)
PLAIN: tuple[Column, ...] = tuple(
    Column(name, name)
    for name in (
        "id", "tier", "key_id", "key_hint", "owner", "remote", "connected_at", "subscriptions", "messages_sent",
        "buffered_bytes", "state",
    )
)  # fmt: skip
NODE = Column("node", "NODE")
"""Shown where there are several."""
WORKER = Column("worker", "WORKER", justify="right", rank=9)
"""Shown where worker processes serve the clients."""


def columns(connections: Sequence[ConnectionDocument], *, is_terminal: bool) -> tuple[Column, ...]:
    """Return the table's columns; node and worker only where there are any."""
    more = [column for column in (NODE, WORKER) if any(getattr(one, column.name) is not None for one in connections)]
    return (*(COLUMNS if is_terminal else PLAIN), *more)


def rows(connections: Sequence[ConnectionDocument], now: datetime) -> list[dict[str, Any]]:
    """Return the table's rows: the daemon's values and what is derived from them for people."""
    return [
        {
            **asdict(connection),
            "since": _age(connection.connected_at, now),
            "subscriptions": _subscriptions(connection),
            "state": _state(connection),
        }
        for connection in connections
    ]


def unsubscribed_hint(connections: Sequence[ConnectionDocument], now: datetime) -> str | None:
    """List the clients that have not subscribed for a minute or longer; their owners may not know."""
    silent = [one for one in connections if one.key_id is not None and not one.channels and _has_had_time(one, now)]
    if not silent:
        return None
    owners = list(dict.fromkeys(clean(one.owner or one.id) for one in silent))
    shown = ", ".join(owners[:OWNERS_SHOWN]) + (", …" if len(owners) > OWNERS_SHOWN else "")
    have = "connection has" if len(silent) == 1 else "connections have"
    return f"{len(silent)} {have} subscribed to nothing ({shown}): they receive only heartbeats"


def _has_had_time(connection: ConnectionDocument, now: datetime) -> bool:
    connected_at = _moment(connection.connected_at)
    return connected_at is not None and (now - connected_at).total_seconds() >= SUBSCRIBED_WITHIN_SECONDS


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _age(connected_at: str, now: datetime) -> str:
    moment = _moment(connected_at)
    return cell(connected_at) if moment is None else duration((now - moment).total_seconds())


def _subscriptions(connection: ConnectionDocument) -> str:
    filters = " ".join(f"{kind}={cell(value)}" for kind, value in connection.filters.items() if value)
    return f"{cell(connection.channels)} {filters}".strip()


def _state(connection: ConnectionDocument) -> str:
    if connection.lagging:
        return "lagging"
    return "resuming" if connection.catching_up else "live"
