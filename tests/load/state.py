"""State: how fast events are folded, and the cost of sending it to one client, to a thousand, and over HTTP.

    python tests/load/state.py [--only fold,one,many,http,streams,hour] [--clients 1000] [--filters 200]
    python tests/load/state.py --only none --histories 1000 --live 20

A real daemon in a process of its own, with 1,700 flights; the clients count what comes and look at nothing of it.

``one``      the first byte and the last of the whole world: as it was sent to somebody before, and all flights moved
``many``     a thousand clients ask within a second, with so many different filters, while another process listens to
             the live stream: how late its events come, before and meanwhile
``http``     whole states a second over one kept connection, and how long one answer holds the loop up, by format
``streams``  server-sent events beside WebSockets, in turns: the same bursts to so many clients of each
``hour``     bytes and the daemon's CPU of an hour of one client: state and events, beside polling each 15 seconds
``--histories`` plays random histories of clients that come, go and resume within this process; ``--live`` on real
daemons that are killed, restarted and reloaded meanwhile. Exit 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.live_daemon import LiveDaemon, live_daemon
from support.live_history import CONFIG as LIVE_CONFIG
from support.live_history import LiveHistory
from support.state_load import CountingClient, busy, open_stream, open_websocket
from swim_server.gateway.http.rendering import CsvTable, feature_of, to_json
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.state.world import World
from unit.streaming.mirror.test_mirror_model import play

FLIGHTS = 1700
BATCH = 280
AIRPORTS = [f"K{a}{b}{c}" for a in "ABCDEF" for b in "ABCDE" for c in "ABCDEFGH"]
CONFIG = """
[tiers.system]
connections = 20000
messages_per_second = 10000
requests_per_minute = 10000000
[server]
max_arriving_per_address = 20000
max_arriving = 20000
"""
ROUTE = "HAPIE5 YAHOO DCT WHALE N291A JOOPY DCT GOMUP NATB LIMRI XETBO DCT EVRIN UN523 LIPGO"
LAST = b'"is_last":true'
TICKS_AN_HOUR = 3600 // 15


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


def put_flights(daemon: LiveDaemon, dice: random.Random) -> None:
    for begin in range(0, FLIGHTS, 500):
        daemon.put(*(("flight.created", flight(n, dice)) for n in range(begin, min(begin + 500, FLIGHTS))))


def move_all(daemon: LiveDaemon, dice: random.Random) -> None:
    """Move every flight, as each snapshot of the network does."""
    batches = [[moved(n, dice) for n in range(b, min(b + BATCH, FLIGHTS))] for b in range(0, FLIGHTS, BATCH)]
    daemon.put(*(("flight.positions", {"count": len(rows), "positions": rows}) for rows in batches))


def cpu_of(daemon: LiveDaemon) -> float:
    """Return the daemon's CPU seconds, to the microsecond: other accounts have ticks of 10 ms."""
    tasks = Path(f"/proc/{daemon.info.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


# The fold


def fold(dice: random.Random) -> None:
    """Measure events folded per second of CPU time, single ones and batches."""
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
    rows = [moved(dice.randrange(FLIGHTS), dice) for _ in range(BATCH)]
    batches = [
        Event(EventId(3, number), "flight.positions", singles[0].wire, {"positions": rows}) for number in range(100)
    ]
    began = time.process_time()
    for event in batches:
        world.fold(event)
    print(f"fold: {100 * BATCH / (time.process_time() - began):,.0f} positions/s in batches")


# One client, many clients


async def take_state(client: CountingClient, filters: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds to the first byte of the answer and to the last byte of the state."""
    done, began = client.expect(LAST), time.perf_counter()
    client.say(action="subscribe", channels=["flight.*"], filters=filters, state=True)
    ended = await asyncio.wait_for(done, 60)
    return client.first_at - began, ended - began


async def one(daemon: LiveDaemon, key: str, dice: random.Random) -> None:
    """Send the whole state to one client, repeatedly."""
    client = await open_websocket(daemon.url, key)
    for name in ("as sent before", "all flights moved"):
        found = []
        for _ in range(21):
            if name != "as sent before":
                await asyncio.to_thread(move_all, daemon, dice)
                await asyncio.sleep(0.05)
            found.append(await take_state(client, {}))
        first, whole = ([1000 * each[n] for each in found[1:]] for n in (0, 1))
        told = f"first byte {min(first):.1f} to {statistics.median(first):.1f} ms"
        print(f"one client, {name}: {told}, all {min(whole):.1f} to {statistics.median(whole):.1f} ms (best, median)")
    client.transport.abort()


def listen(url: str, key: str, seconds: float) -> None:
    """Publish, in a separate process, and print how late each event returns; a JSON line of milliseconds."""

    async def run() -> list[float]:
        client, late, end = await open_websocket(url, key), [], time.perf_counter() + seconds
        subscribed = client.expect(b'"subscribed"')
        client.say(action="subscribe", channels=["system.notice"])
        await subscribed
        while time.perf_counter() < end:
            done, began = client.expect(b'"type":"system.notice"'), time.perf_counter()
            client.say(action="publish", channel="system.notice", data={})
            late.append(1000 * (await done - began))
            await asyncio.sleep(0.011)  # providers may publish a hundred times a second
        return late

    print(json.dumps(sorted(asyncio.run(run()))))


async def listening(daemon: LiveDaemon, key: str, seconds: float) -> list[float]:
    words = [sys.executable, __file__, "--listen", daemon.url, str(seconds)]
    environ = {**os.environ, "SWIM_API_KEY": key}
    done = await asyncio.to_thread(subprocess.run, words, stdout=subprocess.PIPE, text=True, check=True, env=environ)
    late: list[float] = json.loads(done.stdout)
    return late


async def many(daemon: LiveDaemon, key: str, clients: int, filters: int) -> None:
    """Let many clients ask within a second, while a live client of another process listens."""
    crowd = [await open_websocket(daemon.url, key) for _ in range(clients)]
    chosen = [{"airports": random.Random(n).sample(AIRPORTS, 3)} for n in range(filters)]

    async def ask(number: int) -> float:
        await asyncio.sleep(2 + number / clients)  # the listener takes a moment to start
        return (await take_state(crowd[number], chosen[number % filters]))[1]

    before = await listening(daemon, key, 5)
    cpu, began = cpu_of(daemon), time.perf_counter() + 2
    meanwhile = asyncio.create_task(listening(daemon, key, 5))
    took = sorted(await asyncio.gather(*(ask(number) for number in range(clients))))
    whole, cpu = time.perf_counter() - began, cpu_of(daemon) - cpu
    late = await meanwhile
    each = f"each in {1000 * statistics.median(took):.1f} ms (median), {1000 * took[-1]:.0f} ms (longest)"
    print(f"{clients} clients, {filters} filters: all served {whole:.2f} s after the first asked, {each}")
    print(f"  the daemon's CPU for all of it, and the listener: {cpu:.2f} s")
    for name, values in (("before", before), ("meanwhile", late)):
        told = f"p50 {statistics.median(values):.1f}, p99 {values[int(len(values) * 0.99)]:.1f} ms"
        print(f"  live event {name}: {told} of {len(values)}")
    for client in crowd:
        client.transport.abort()


# Plain HTTP


def http(daemon: LiveDaemon, key: str) -> None:
    """Measure whole states per second over one kept-alive connection, and the daemon's CPU for each."""
    connection = HTTPConnection("127.0.0.1", daemon.port)
    headers, size = {"Authorization": f"Bearer {key}"}, 0
    for is_warm in (False, True):
        count = 1000 if is_warm else 20
        cpu, began = cpu_of(daemon), time.perf_counter()
        for _ in range(count):
            connection.request("GET", "/flights", headers=headers)
            size = len(connection.getresponse().read())
        seconds, cpu = time.perf_counter() - began, cpu_of(daemon) - cpu
    print(f"GET /flights, {size:,} bytes: {count / seconds:,.0f}/s, {count / cpu:,.0f} a CPU second of the daemon")
    connection.close()


def blocking(dice: random.Random) -> None:
    """Measure how long one uncached answer blocks the loop."""
    world = World()
    for number in range(FLIGHTS):
        world.fold(stamp(NewEvent(type="flight.created", data=flight(number, dice)), EventId(1, number)))
    flights = world.flights
    encoded = [flights.encoded(key) for key in flights.by_key]  # in turns of 2 ms, by LiveState.warm
    rows = list(flights.by_key.items())
    for name, render in (
        ("json, whole", lambda: to_json("flights", encoded, "1-0")),
        ("geojson, gathered", lambda: [feature_of(key, entry, flights.encoded(key)) for key, entry in rows]),
        ("csv, gathered", lambda: CsvTable([entry for _, entry in rows], is_flights=True)),
    ):
        took = []
        for _ in range(20):
            began = time.process_time()
            render()
            took.append(1000 * (time.process_time() - began))
        print(f"  one turn of the loop for {name}: {min(took):.1f} to {statistics.median(took):.1f} ms (best, median)")


# Server-sent events beside WebSockets


async def streams(daemon: LiveDaemon, key: str, clients: int) -> None:
    """Send the same bursts to as many clients of each kind, alternating."""
    bursts, events, marker = 20, 100, b'"n":'
    websockets = [await open_websocket(daemon.url, key) for _ in range(clients)]
    for client in websockets:
        answered = client.expect(b'"subscribed"')
        client.say(action="subscribe", channels=["cdm.edct"])
        await answered
    followers = [await open_stream(daemon.url, key, "channels=cdm.ctot") for _ in range(clients)]
    kinds = (("WebSockets", websockets, "cdm.edct"), ("server-sent events", followers, "cdm.ctot"))
    rates: dict[str, list[float]] = {name: [] for name, *_ in kinds}
    costs: dict[str, list[float]] = {name: [] for name, *_ in kinds}
    for _ in range(bursts):
        for name, group, event_type in kinds:
            done = [client.expect(marker, events) for client in group]
            cpu, began = cpu_of(daemon), time.perf_counter()
            rows = [(event_type, {"callsign": "DAL1", "n": number, "text": "x" * 150}) for number in range(events)]
            await asyncio.to_thread(daemon.put, *rows)
            await asyncio.wait_for(asyncio.gather(*done), 120)
            rates[name].append(clients * events / (time.perf_counter() - began))
            costs[name].append(1e6 * (cpu_of(daemon) - cpu) / (clients * events))
    for name, *_ in kinds:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        print(f"{name}: {rate:,.0f} deliveries/s to {clients} clients, {cost:.2f} µs of the daemon's CPU each")
    ratio = statistics.median(b / a for a, b in zip(*rates.values(), strict=True))
    print(f"  server-sent events reach {ratio:.2f} of WebSockets (median of {bursts} pairs)")
    for client in (*websockets, *followers):
        client.transport.abort()


# An hour


async def hour(daemon: LiveDaemon, key: str, dice: random.Random) -> None:
    """Compare clients that receive state and events with clients that poll, over the same movements of all flights."""
    clients, ticks, mark = 20, 20, b'"type":"system.notice"'
    for is_compressed in (False, True):
        crowd = [await open_websocket(daemon.url, key, is_compressed=is_compressed) for _ in range(clients)]
        began = [client.expect(b"ubscribed") for client in crowd]
        for client in crowd:
            client.say(action="subscribe", channels=["flight.*", "system.notice"], state=True)
        await asyncio.sleep(2)
        alone = cpu_of(daemon)
        for _ in range(ticks):
            await asyncio.to_thread(move_all, daemon, dice)
        alone = cpu_of(daemon) - alone
        del began
        sizes, cpu = [client.bytes for client in crowd], cpu_of(daemon)
        for _ in range(ticks):
            done = [client.expect(mark) for client in crowd]
            await asyncio.to_thread(move_all, daemon, dice)
            await asyncio.to_thread(daemon.put, ("system.notice", {}))
            await asyncio.wait_for(asyncio.gather(*done), 60)
        sizes, cpu = [client.bytes for client in crowd], cpu_of(daemon) - cpu
        for client in crowd:
            client.transport.abort()
        await asyncio.sleep(0.5)
        base = cpu_of(daemon)
        for _ in range(ticks):
            await asyncio.to_thread(move_all, daemon, dice)
        base = cpu_of(daemon) - base
        told = "compressed" if is_compressed else "plain"
        tell_hour(f"state and events, {told}", statistics.mean(sizes), (cpu - base) / (clients * ticks))
        polled, cost = await asyncio.to_thread(poll, daemon, key, dice, clients, ticks, is_compressed=is_compressed)
        tell_hour(f"polled each 15 s, {told}", polled, cost - base / (clients * ticks))


def tell_hour(name: str, tick_bytes: float, tick_cpu: float) -> None:
    megabytes, cpu = TICKS_AN_HOUR * tick_bytes / 1e6, TICKS_AN_HOUR * tick_cpu
    print(f"an hour of one client, {name}: {megabytes:,.0f} MB, {1000 * cpu:,.0f} ms of the daemon's CPU")


def poll(
    daemon: LiveDaemon, key: str, dice: random.Random, clients: int, ticks: int, *, is_compressed: bool
) -> tuple[float, float]:
    """Return bytes and CPU of one poll of one client."""
    headers = {"Authorization": f"Bearer {key}"} | ({"Accept-Encoding": "gzip"} if is_compressed else {})
    connections = [HTTPConnection("127.0.0.1", daemon.port) for _ in range(clients)]
    size, cpu = 0, cpu_of(daemon)
    for _ in range(ticks):
        move_all(daemon, dice)
        for connection in connections:
            connection.request("GET", "/flights", headers=headers)
            size += len(connection.getresponse().read())
    cpu = cpu_of(daemon) - cpu
    for connection in connections:
        connection.close()
    return size / (clients * ticks), cpu / (clients * ticks)


# Histories


async def live(count: int) -> None:
    """Play random histories on real daemons, across kills, restarts and reloads."""
    checked = 0
    for seed in range(count):
        what = random.Random(seed).choices(("kill", "restart", "reload"), weights=(3, 3, 1), k=4)
        with tempfile.TemporaryDirectory() as home, live_daemon(Path(home), config=LIVE_CONFIG) as daemon:
            checked += await LiveHistory(daemon, 7_000 + seed).play(what, steps_between=25)
    if count:
        with_what = "four kills, restarts or reloads each"
        print(f"{count} histories on real daemons, {with_what}: {checked} states were as the naive fold")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("--histories", type=int, default=0)
    parser.add_argument("--live", type=int, default=0)
    parser.add_argument("--only", default="fold,one,many,http,streams,hour")
    arguments = parser.parse_args()
    only, dice = set(arguments.only.split(",")), random.Random(1)
    print(f"at the start: {busy()}")
    if "fold" in only:
        fold(dice)
    if only & {"one", "many", "http", "streams", "hour"}:
        with tempfile.TemporaryDirectory() as home, live_daemon(Path(home), config=CONFIG) as daemon:
            key = daemon.make_key("system").api_key
            put_flights(daemon, dice)
            if "one" in only:
                await one(daemon, key, dice)
            if "http" in only:
                await asyncio.to_thread(http, daemon, key)
                blocking(dice)
            if "many" in only:
                await many(daemon, key, arguments.clients, arguments.filters)
            if "streams" in only:
                await streams(daemon, key, arguments.clients)
            if "hour" in only:
                await hour(daemon, key, dice)
    for seed in range(arguments.histories):
        await play(1_000_000 + seed, may_gap=seed % 3 == 0)
    if arguments.histories:
        print(f"{arguments.histories} histories: every mirror held what the naive fold held")
    await live(arguments.live)
    print(f"at the end: {busy()}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--listen"]:
        listen(sys.argv[2], os.environ["SWIM_API_KEY"], float(sys.argv[3]))
    else:
        sys.exit(asyncio.run(main()))
