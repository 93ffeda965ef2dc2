"""The SDK's mirror of the flights, held against what the service says at the same event."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from support.live_daemon import LiveDaemon, live_daemon
from swim_client import FlightMirror, SWIMClient

AIRPORTS = ["KJFK", "EGLL", "EDDF", "KATL"]


def of_airports(flight: dict[str, Any]) -> bool:
    return flight["dep"] in AIRPORTS or flight["arr"] in AIRPORTS


async def assert_same(daemon: LiveDaemon, *mirrors: tuple[SWIMClient, bool]) -> None:
    """A mark behind everything shows that each mirror has come as far as the answer of the service."""
    await asyncio.to_thread(daemon.put, ("flight.created", {"flight_uid": 1, "callsign": "MARK", "dep": "KJFK"}))
    for client, is_filtered in mirrors:
        for _ in range(1500):
            done = await asyncio.to_thread(daemon.swimctl, "flights", "--json", check=True)
            document = json.loads(done.stdout)
            wanted = {flight["flight_uid"]: flight for flight in document["flights"]}
            if is_filtered:
                wanted = {uid: flight for uid, flight in wanted.items() if of_airports(flight)}
            held = {flight["flight_uid"]: flight for flight in client.flights.snapshot()[1]}
            if held == wanted:
                break
        assert held == wanted


async def test_mirrors_equal_the_service_over_breaks_restart_and_kill(tmp_path: Path) -> None:
    """Traffic stands still while they are compared: a recording of commands would race with it."""
    with live_daemon(tmp_path) as daemon:
        rows = [
            {"flight_uid": n, "callsign": f"DAL{n}", "dep": AIRPORTS[n % 4] if n % 3 else "RJTT", "arr": "RJAA"}
            for n in range(2, 302)
        ]
        key = daemon.make_key("partner").api_key
        await asyncio.to_thread(daemon.put, *(("flight.created", row) for row in rows))
        everything = SWIMClient(key, daemon.url, reconnect_interval=0.1)
        some = SWIMClient(key, daemon.url, reconnect_interval=0.1)
        changes: list[str] = []
        everything.flights.on_change(lambda what, flight: changes.append(f"{what} {flight.callsign}"))
        async with everything, some:
            assert len(await everything.snapshot()) == 300
            assert len(await some.snapshot(airports=AIRPORTS)) == 200
            await asyncio.to_thread(daemon.put, ("flight.deleted", {"flight_uid": 2, "callsign": "DAL2"}))
            await assert_same(daemon, (everything, False), (some, True))
            assert "removed DAL2" in changes

            await asyncio.to_thread(daemon.swimctl, "restart", check=True)
            moved: list[tuple[str, dict[str, Any]]] = [
                ("flight.positions", {"positions": [{"flight_uid": n, "latitude": n / 10} for n in range(3, 200)]})
            ]
            moved += [("flight.updated", {"flight_uid": n, "dep": "RJTT", "arr": "RJCC"}) for n in range(3, 50)]
            await asyncio.to_thread(daemon.put, *moved)
            await assert_same(daemon, (everything, False), (some, True))

            port, first = daemon.port, daemon.process
            assert first is not None
            await asyncio.to_thread(first.wait, 60)  # the process before the restart
            os.kill(daemon.info.pid, 9)
            while daemon.is_serving:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(lambda: daemon.start(port=port))
            await asyncio.to_thread(
                daemon.put, *(("flight.updated", {"flight_uid": n, "dep": "KATL"}) for n in range(20, 40))
            )
            await assert_same(daemon, (everything, False), (some, True))
            found = everything.flights.by_callsign("dal30")
            assert found is not None and found.dep == "KATL"
            assert {flight.flight_uid for flight in some.flights.where(dep="KATL")} >= set(range(20, 40))


def message(kind: str, number: int, **data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": "2026-01-16T14:30:15.000Z", "id": f"1768573815123-{number}", "data": data}


def state(number: int, *rows: dict[str, Any], is_last: bool = True) -> dict[str, Any]:
    return {
        "type": "state", "as_of": f"1768573815123-{number}", "kind": "flights", "part": 1, "is_last": is_last,
        "data": {"flights": list(rows)},
    }  # fmt: skip


def test_mirror_takes_over_a_state_only_when_it_is_whole_and_nothing_older() -> None:
    mirror = FlightMirror(lambda: True)
    mirror.take(state(5, {"flight_uid": 1, "callsign": "A", "dep": "KJFK"}, is_last=False))
    assert not mirror.is_complete
    mirror.take({"type": "subscribed"})
    mirror.take(state(6, {"flight_uid": 2, "callsign": "B", "dep": "KJFK"}))
    assert list(mirror) == [2]
    mirror.take(message("flight.updated", 6, flight_uid=2, dep="KLAX"))
    assert mirror[2]["dep"] == "KJFK", "it is part of the state"
    mirror.take(message("flight.updated", 7, flight_uid=2, dep="KLAX"))
    mirror.take(message("flight.updated", 8, flight_uid=3, dep="KLAX"))
    assert ({uid: flight["dep"] for uid, flight in mirror.items()}, mirror.as_of) == ({2: "KLAX"}, "1768573815123-8")
    mirror.take(
        {
            "type": "state.entered",
            "id": "1768573815123-9",
            "kind": "flights",
            "data": {"flight_uid": 4, "callsign": "B"},
        }
    )
    mirror.take({"type": "state.left", "id": "1768573815123-9", "kind": "flights", "flight_uid": 2, "callsign": None})
    assert list(mirror) == [4]
    found = mirror.by_callsign("b ")
    assert found is not None and found.flight_uid == 4


def test_handler_that_fails_does_not_stop_the_mirror() -> None:
    mirror, seen = FlightMirror(lambda: False), []

    def broken(what: str, flight: Any) -> None:
        seen.append(what)
        raise RuntimeError("the program's own fault")

    mirror.on_change(broken)
    mirror.take(state(5))
    mirror.take(message("flight.created", 6, flight_uid=1, callsign="A"))
    mirror.take(message("flight.departed", 7, flight_uid=1, off_utc="2026-01-16T14:30:15.000Z"))
    mirror.take(message("flight.deleted", 8, flight_uid=1))
    assert (seen, len(mirror)) == (["added", "changed", "removed"], 0)
