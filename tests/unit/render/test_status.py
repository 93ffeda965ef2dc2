"""The status document for people at 80 columns and for scripts."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from swim_server.daemon.control.documents.connections import ConnectionDocument
from swim_server.daemon.control.documents.status import Status

from swimctl.output import Output, flattened
from swimctl.render.connections import COLUMNS, PLAIN, rows
from swimctl.render.status import status
from swimctl.render.status_lines import status_lines

NOW = datetime(2026, 1, 16, 14, 30, 15, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "pid": 4242, "version": "0.1.0", "fingerprint": "0123456789ab", "url": "ws://127.0.0.1:8090/api/swim/v1/ws",
    "home": "/var/lib/swim", "uptime_seconds": 18_720.4, "events_published": 12_345, "events_per_second": 3.25,
    "deliveries": 1_234_567, "deliveries_per_second": 345.6,
    "connections": {"total": 46, "by_tier": {
        "public": {"current": 5, "limit": 5}, "developer": {"current": 41, "limit": 50},
        "partner": {"current": 0, "limit": 500}, "system": {"current": 1, "limit": 10_000}}},
    "refused": {"limit": 2}, "slow_consumers": {"lagging": 1, "closed": 3},
    "sources": [
        {"name": "feed", "kind": "file", "state": "degraded", "events": 12_000, "last_event_age_seconds": 0.4,
         "errors": 2, "last_error": "can't read /x\x1b[2J"},
        {"name": "sim", "kind": "simulator", "state": "running", "events": 0, "last_event_age_seconds": None},
    ],
    "history": {
        "oldest_id": "1768487415000-0", "newest_id": "1768573815000-3", "events": 12_345, "size_bytes": 3_145_728},
    "keys": {"problem": "no answer from the database"}, "loop_lag_ms": {"p50": 0.1, "p99": 2.5, "max": 9.0},
    "memory_bytes": 104_857_600,
}  # fmt: skip


def read(document: dict[str, Any]) -> Status:
    return msgspec.convert(document, Status)


def screen(renderable: Any, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(renderable)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_status_for_people_at_80_columns() -> None:
    assert (
        screen(status(read(DOCUMENT), NOW, "0123456789ab"))
        == """\
daemon      running for 5h 12m, pid 4242
url         ws://127.0.0.1:8090/api/swim/v1/ws
home        /var/lib/swim
version     0.1.0, fingerprint 0123456789ab
events      12,345 stored since the start, 3.2/s
deliveries  1,234,567 sent to clients, 346/s
history     12,345 events kept, 1d 0h back, 3.0 MiB
process     100.0 MiB of memory, loop lag p50 0.1 ms, p99 2.5 ms, max 9 ms
slow        1 lagging now, 3 closed since the start
refused     2 limit
keys        can't be checked at the moment: no answer from the database

TIER        CONNECTED    LIMIT
public              5        5   ━━━━━━━━━━━━━━━━━━━━
developer          41       50   ━━━━━━━━━━━━━━━━━───
partner             0      500   ────────────────────
system              1   10,000   ━───────────────────

SOURCE   KIND        STATE       FOUND   LAST EVENT   ERRORS
feed     file        degraded   12,000     0.4s ago        2
sim      simulator   running         0        never        0
FOUND: events, before large batches of positions are split for clients
feed: can't read /x�[2J"""
    )


WORKERS = [
    {"number": 1, "pid": 7, "state": "ready", "connections": 1, "memory_bytes": 52_428_800, "loop_lag_p99_ms": 4.0},
    {"number": 2, "restarts": 2, "last_end": "killed by signal 9"},
]


def test_status_tells_what_each_worker_does() -> None:
    shown = screen(status(read({**DOCUMENT, "workers": WORKERS}), NOW), 120)
    assert "process     150.0 MiB of memory in 2 processes, loop lag p50 0.1 ms" in shown
    assert "worker 1    pid 7, 1 connection, 50.0 MiB of memory, loop lag p99 4 ms" in shown
    assert "worker 2    not running; it ended: killed by signal 9" in shown


def test_status_for_scripts_names_workers_by_their_numbers() -> None:
    found = dict(flattened({"workers": WORKERS}))
    assert (found["workers.1.pid"], found["workers.2.restarts"]) == (7, 2)
    pairs = dict(status_lines(read({**DOCUMENT, "workers": WORKERS})))
    assert (pairs["worker.1"], pairs["worker.2"]) == ("ready 1 0", "gone 0 2")


def test_status_says_that_the_disk_holds_other_code() -> None:
    shown = screen(status(read(DOCUMENT), NOW, "ba9876543210"), 120)
    assert "0.1.0, fingerprint 0123456789ab; the code on disk is ba9876543210: swimctl restart" in shown


def test_status_of_a_daemon_without_sources_says_how_events_get_in() -> None:
    assert "no sources: events come from swimctl publish only" in screen(status(read({**DOCUMENT, "sources": []}), NOW))


def test_status_tells_that_history_is_in_trouble() -> None:
    shown = screen(status(read({"pid": 1, "history": {"problem": "the disk is full"}}), NOW))
    assert "history     can't be used at the moment: the disk is full" in shown


def test_status_of_a_sparse_document_is_shown_all_the_same() -> None:
    assert "daemon" in screen(status(read({"pid": 1, "history": {"oldest_id": "odd"}}), NOW))
    assert "empty" in screen(status(read({"pid": 1}), NOW))


def test_status_for_scripts_has_stable_names() -> None:
    pairs = dict(status_lines(read(DOCUMENT)))
    assert pairs["pid"] == "4242"
    assert pairs["connections"] == "46"
    assert pairs["connections.public"] == "5/5"
    assert pairs["source.feed"] == "degraded 12000 0.4"
    assert pairs["source.sim"] == "running 0 -"
    assert pairs["history.newest_id"] == "1768573815000-3"
    assert pairs["loop_lag_ms.p99"] == "2.5"


CONNECTION = {
    "id": "client_0123456789abcdef", "tier": "partner", "key_id": 7, "key_hint": "swim_par_…x9Qz", "owner": "vNAS",
    "remote": "192.0.2.7", "connected_at": "2026-01-16T14:00:15.000Z", "channels": ["flight.*", "tmi.*"],
    "filters": {"airports": ["KJFK"], "artccs": []}, "messages_sent": 12_345, "buffered_bytes": 2048,
    "lagging": True, "catching_up": True,
}  # fmt: skip


def connection_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return rows([msgspec.convert(document, ConnectionDocument)], NOW)


def table_of(columns: Any, width: int, *, terminal: bool) -> str:
    stream = io.StringIO()
    Output(stream, is_terminal=terminal, width=width).table(columns, connection_rows(CONNECTION))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_connections_at_80_columns() -> None:
    assert table_of(COLUMNS, 80, terminal=True).splitlines() == [
        "ID                       TIER     KEY  REMOTE     SINCE  SUBSCRIPTIONS   STATE",
        "client_0123456789abcdef  partner    7  192.0.2.7    30m  flight.*, tmi…  lagging",
        "… no room for: hint, owner, sent, buffered",
    ]


def test_connections_on_a_wide_terminal_have_more_columns() -> None:
    assert table_of(COLUMNS, 160, terminal=True).splitlines()[0].split() == [
        "ID", "TIER", "KEY", "HINT", "OWNER", "REMOTE", "SINCE", "SUBSCRIPTIONS", "SENT", "BUFFERED", "STATE",
    ]  # fmt: skip


def test_connections_for_scripts_are_whole() -> None:
    assert table_of(PLAIN, 80, terminal=False) == (
        "client_0123456789abcdef\tpartner\t7\tswim_par_…x9Qz\tvNAS\t192.0.2.7\t2026-01-16T14:00:15.000Z\t"
        "flight.*, tmi.* airports=KJFK\t12345\t2048\tlagging"
    )


def test_connection_state_and_age_are_told() -> None:
    (row,) = connection_rows({**CONNECTION, "lagging": False})
    assert (row["state"], row["since"]) == ("resuming", "30m")
    (row,) = connection_rows({**CONNECTION, "lagging": False, "catching_up": False, "connected_at": "odd"})
    assert (row["state"], row["since"]) == ("live", "odd")
