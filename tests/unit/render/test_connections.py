"""The list of connections, as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from swim_server.daemon.control.documents.connections import ConnectionDocument

from swimctl.render.connections import rows, unsubscribed_hint

NOW = datetime(2026, 1, 16, 14, 31, 15, tzinfo=UTC)
LONG_AGO = "2026-01-16T14:30:15.000Z"


def connection(**fields: Any) -> ConnectionDocument:
    values: dict[str, Any] = {"id": "client_0", "key_id": 7, "owner": "vNAS", "connected_at": LONG_AGO}
    return ConnectionDocument(**(values | fields))


def test_clients_that_never_subscribed_are_told_of() -> None:
    found = [connection(), connection(), connection(owner="ADL"), connection(owner="FSD", channels=["flight.*"])]
    said = "3 connections have subscribed to nothing (vNAS, ADL): they receive only heartbeats"
    assert unsubscribed_hint(found, NOW) == said
    assert unsubscribed_hint([connection(owner=None)], NOW) == (
        "1 connection has subscribed to nothing (client_0): they receive only heartbeats"
    )


def test_many_owners_are_cut_short_and_shown_without_control_characters() -> None:
    hint = unsubscribed_hint([connection(owner=f"owner {number}\x1b[2J") for number in range(9)], NOW)
    assert hint is not None
    assert "(owner 0" in hint
    assert "…)" in hint
    assert "\x1b" not in hint


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": ["*"]},
        {"connected_at": "2026-01-16T14:30:16.000Z"},
        {"connected_at": "at the moment"},
        {"key_id": None, "tier": "local"},
    ],
    ids=["subscribed", "just connected", "nobody knows since when", "swimctl itself"],
)
def test_nothing_is_said_of_others(fields: dict[str, Any]) -> None:
    assert unsubscribed_hint([connection(**fields)], NOW) is None


def test_rows_tell_since_when() -> None:
    shown = rows([connection(channels=["flight.*"], filters={"airports": ["KJFK"]}), connection(connected_at="?")], NOW)
    assert [row["since"] for row in shown] == ["1m", "?"]
    assert shown[0]["subscriptions"] == "flight.* airports=KJFK"
