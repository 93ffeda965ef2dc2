"""State: how fast events are folded, and what it costs to send the world to one client, to a thousand, and over HTTP.

    python tests/load/state.py [--clients 1000] [--filters 200] [--histories 0] [--only fold,one,many,http,polling]

A real daemon in a process of its own, with 1,700 flights. While a thousand clients ask within a second, with so many
different filters, another one listens to the live stream: how late its events come, before and meanwhile. ``polling``
holds a quarter of an hour of state and events beside polling the same state each 15 seconds. ``--histories`` plays that
many random histories of clients that come, go and resume. Exit 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from support.live_daemon import LiveDaemon, live_daemon
from support.wire_client import WireClient, open_client
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.state.world import World
from unit.streaming.mirror.test_mirror_model import play

FLIGHTS = 1700
AIRPORTS = [f"K{a}{b}{c}" for a in "ABCDEF" for b in "ABCDE" for c in "ABCDEFGH"]
CONFIG = """
[tiers.system]
connections = 20000
messages_per_second = 1000
requests_per_minute = 10000000
[server]
max_arriving_per_address = 20000
"""
ROUTE = "HAPIE5 YAHOO DCT WHALE N291A JOOPY DCT GOMUP NATB LIMRI XETBO DCT EVRIN UN523 LIPGO"


def flight(number: int, dice: random.Random) -> dict[str, Any]:
    return {
        "callsign": f"DAL{number}", "flight_uid": 10**12 + number, "dep": dice.choice(AIRPORTS),
        "arr": dice.choice(AIRPORTS), "equipment": "A339/H-SDE1E2E3FGHIJ2J3J4J5M1RWXYZ/LB1D1", "route": ROUTE,
        "latitude": round(dice.uniform(-60, 60), 5), "longitude": round(dice.uniform(-180, 180), 5),
        "altitude_ft": dice.randint(0, 40_000), "groundspeed_kts": dice.randint(0, 500),
        "heading_deg": dice.randint(0, 359), "current_artcc": "ZNY", "current_fir": "KZNY", "current_sector": None,
        "phase": "ENROUTE",
    }  # fmt: skip


def moved(number: int, dice: random.Random) -> dict[str, Any]:
    row = flight(number, dice)
    for field in ("equipment", "route", "current_sector"):
        del row[field]
    return {**row, "vertical_rate_fpm": 0}


def fold(dice: random.Random) -> None:
    """Events a second of CPU time, single ones and batches."""
    world, count = World(), 40_000
    for number in range(FLIGHTS):
        world.fold(stamp(NewEvent(type="flight.created", data=flight(number, dice)), EventId(1, number)))
    singles = [
        stamp(NewEvent(type="flight.position", data=moved(dice.randrange(FLIGHTS), dice)), EventId(2, number))
        for number in range(count)
    ]
    began = time.process_time()
    for event in singles:
        world.fold(event)
    seconds = time.process_time() - began
    print(f"fold: {count / seconds:,.0f} single events/s")
    rows = [moved(dice.randrange(FLIGHTS), dice) for _ in range(280)]
    batches = [
        Event(EventId(3, number), "flight.positions", singles[0].wire, {"positions": rows}) for number in range(100)
    ]
    began = time.process_time()
    for event in batches:
        world.fold(event)
    print(f"fold: {100 * 280 / (time.process_time() - began):,.0f} positions/s in batches")


async def take_state(client: WireClient, filters: dict[str, Any]) -> tuple[float, float, int]:
    """Seconds to the first part and to the last, and how many flights there were."""
    began, count = time.perf_counter(), 0
    await client.send({"action": "subscribe", "channels": ["flight.*"], "filters": filters, "state": True})
    first = 0.0
    while True:
        message = await client.next()
        if message["type"] != "state":
            continue
        first = first or time.perf_counter() - began
        count += len(message["data"]["flights"])
        if message["is_last"]:
            return first, time.perf_counter() - began, count


async def one(daemon: LiveDaemon, key: str) -> None:
    """The whole world to one client, again and again."""
    client = await open_client(daemon.url, key)
    found = [await take_state(client, {}) for _ in range(21)][1:]
    assert {count for _, _, count in found} == {FLIGHTS}
    first, whole = (sorted(each[n] for each in found)[len(found) // 2] * 1000 for n in (0, 1))
    print(f"one client, {FLIGHTS} flights: first part {first:.1f} ms, all {whole:.1f} ms (medians of {len(found)})")


async def many(daemon: LiveDaemon, key: str, clients: int, filters: int) -> None:
    """Many ask within a second; a live client listens meanwhile."""
    crowd = [await open_client(daemon.url, key) for _ in range(clients)]
    chosen = [{"airports": random.Random(n).sample(AIRPORTS, 3)} for n in range(filters)]
    live = await open_client(daemon.url, key)
    await live.until("connected")
    await live.subscribe("system.notice")
    publisher = await open_client(daemon.url, key)

    async def listen(seconds: float) -> list[float]:
        late, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            await publisher.send({"action": "publish", "channel": "system.notice", "data": {"at": time.monotonic()}})
            event = await live.until("system.notice")
            late.append(1000 * (time.monotonic() - event["data"]["at"]))
            await asyncio.sleep(0.01)
        return sorted(late)

    async def ask(number: int) -> float:
        await asyncio.sleep(number / clients)
        began = time.perf_counter()
        await take_state(crowd[number], chosen[number % filters])
        return time.perf_counter() - began

    before = await listen(2)
    process = psutil.Process(daemon.info.pid)
    cpu, began = sum(process.cpu_times()[:2]), time.perf_counter()
    listening = asyncio.create_task(listen(1.5))
    took = sorted(await asyncio.gather(*(ask(number) for number in range(clients))))
    whole, cpu = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    meanwhile = await listening
    each = f"each in {took[len(took) // 2] * 1000:.1f} ms (median)"
    print(f"{clients} clients, {filters} filters: all served {whole:.2f} s after the first asked, {each}")
    print(f"  the daemon's CPU for all of it: {cpu:.2f} s")
    for name, late in (("before", before), ("meanwhile", meanwhile)):
        print(f"  live event {name}: p50 {late[len(late) // 2]:.1f}, p99 {late[int(len(late) * 0.99)]:.1f} ms")
    for client in crowd:
        client.connection.transport.abort()


def http(daemon: LiveDaemon, key: str) -> None:
    """Whole states a second over one kept connection, and the daemon's CPU for one."""
    process, connection = psutil.Process(daemon.info.pid), HTTPConnection("127.0.0.1", daemon.port)
    headers, size = {"Authorization": f"Bearer {key}"}, 0
    for is_warm in (False, True):
        count = 500 if is_warm else 20
        cpu, began = sum(process.cpu_times()[:2]), time.perf_counter()
        for _ in range(count):
            connection.request("GET", "/flights", headers=headers)
            size = len(connection.getresponse().read())
        seconds, cpu = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    print(f"GET /flights, {size:,} bytes: {count / seconds:,.0f}/s, {count / cpu:,.0f} a CPU second of the daemon")


def polling(dice: random.Random) -> None:
    """Bytes of an hour: state once and then what changes, beside all of it each 15 seconds. Without compression."""
    world = World()
    for number in range(FLIGHTS):
        world.fold(stamp(NewEvent(type="flight.created", data=flight(number, dice)), EventId(1, number)))
    state = sum(len(world.flights.encoded(key)) + 1 for key in world.flights.by_key)
    batch = len(json.dumps([moved(number, dice) for number in range(FLIGHTS)], separators=(",", ":")))
    times = 3600 // 15
    polled, streamed = times * state / 1e6, (state + times * batch) / 1e6
    print(f"an hour of {FLIGHTS} flights: polled {polled:,.0f} MB, state and events {streamed:,.0f} MB")


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("--histories", type=int, default=0)
    parser.add_argument("--only", default="fold,one,many,http,polling")
    arguments = parser.parse_args()
    only, dice = set(arguments.only.split(",")), random.Random(1)
    if "fold" in only:
        fold(dice)
    if "polling" in only:
        polling(dice)
    if only & {"one", "many", "http"}:
        with tempfile.TemporaryDirectory() as home, live_daemon(Path(home), config=CONFIG) as daemon:
            key = daemon.make_key("system").api_key
            for begin in range(0, FLIGHTS, 500):
                daemon.put(*(("flight.created", flight(n, dice)) for n in range(begin, min(begin + 500, FLIGHTS))))
            if "one" in only:
                await one(daemon, key)
            if "http" in only:
                await asyncio.to_thread(http, daemon, key)
            if "many" in only:
                await many(daemon, key, arguments.clients, arguments.filters)
    for seed in range(arguments.histories):
        await play(1_000_000 + seed, may_gap=seed % 3 == 0)
    if arguments.histories:
        print(f"{arguments.histories} histories: every mirror held what the naive fold held")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
