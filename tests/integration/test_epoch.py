"""A history replaced by an older one: a client that resumes into the lost part is told, by each interface."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.disk.sdk_program import handle_events
from support.http_client import Asker, Stream
from support.live_daemon import LiveDaemon, live_daemon
from support.wire_client import dial

pytestmark = pytest.mark.unmeasured


async def test_resuming_into_a_history_that_was_replaced_is_a_gap_everywhere(tmp_path: Path) -> None:
    with live_daemon(tmp_path / "home") as daemon:
        ask, kept = Asker(daemon), tmp_path / "kept.db"
        first = await asyncio.to_thread(daemon.put, ("flight.created", {"callsign": "DAL1", "flight_uid": 1}))
        before = await greeting(daemon, ask.key)
        copy(daemon, kept)
        lost = await asyncio.to_thread(daemon.put, ("flight.departed", {"callsign": "DAL2", "flight_uid": 2}))
        program = daemon.url, ask.key, tmp_path / "resume.json", 1
        assert await handle_events(*program) == ["DAL2"]
        await asyncio.to_thread(replace_history, daemon, kept)

        after = await greeting(daemon, ask.key)
        assert after["epoch"] != before["epoch"]
        assert (await asyncio.to_thread(ask.json, "/flights"))["count"] == 1, "what is lost is not part of the state"
        # Who saw the last event that is lost misses none; that what it knows is no longer so, only the epoch tells.
        for seen, epoch in ((first[0], None), (first[0], before["epoch"]), (lost[0], before["epoch"])):
            query = f"&epoch={epoch}" if epoch else ""
            page = await asyncio.to_thread(ask.json, f"/events?after={seen}{query}")
            assert (page["gap"], page["epoch"]) == (True, after["epoch"])
            assert (await streamed(ask, seen, query))["gap"] is True
            async with dial(daemon.url, ask.key) as client:
                answer = await client.subscribe("flight.*", after=seen, epoch=epoch, state="on_gap")
                assert (answer["gap"], answer["epoch"]) == (True, after["epoch"])
                state = await client.until("state")
                assert [flight["callsign"] for flight in state["data"]["flights"]] == ["DAL1"]
        assert (await handle_events(*program))[0] == "gap", "the program's file has the epoch, too"
        new = await asyncio.to_thread(daemon.put, ("flight.created", {"callsign": "DAL3", "flight_uid": 3}))
        page = await asyncio.to_thread(ask.json, f"/events?after={after['last_event_id']}&epoch={after['epoch']}")
        assert (page["gap"], [event["id"] for event in page["events"]]) == (False, new)


async def greeting(daemon: LiveDaemon, key: str) -> dict[str, Any]:
    async with dial(daemon.url, key) as client:
        data: dict[str, Any] = client.received[0]["data"]
        return data


async def streamed(ask: Asker, seen: str, query: str) -> dict[str, Any]:
    stream = await asyncio.to_thread(Stream, ask, f"/stream?channels=flight.*{query}", Last_Event_ID=seen)
    try:
        (_, kind, answer), *_ = await asyncio.to_thread(stream.wait, 1)
    finally:
        stream.close()
    assert kind == "subscribed", json.dumps(answer)
    found: dict[str, Any] = answer
    return found


def copy(daemon: LiveDaemon, kept: Path) -> None:
    """Copy the history as it is now."""
    source, target = sqlite3.connect(daemon.home / "history.db"), sqlite3.connect(kept)
    with source, target:
        source.backup(target)
    source.close()
    target.close()


def replace_history(daemon: LiveDaemon, kept: Path) -> None:
    """Put an older history in the place of the present one, as somebody does who restores a copy by hand."""
    port, process = daemon.port, psutil.Process(daemon.info.pid)
    os.kill(process.pid, 9)
    assert daemon.process is not None
    daemon.process.wait()
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        (daemon.home / name).unlink(missing_ok=True)
    (daemon.home / "history.db").write_bytes(kept.read_bytes())
    daemon.start(port=port)
