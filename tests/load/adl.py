"""What a look at the ADL tables costs: ``python tests/load/adl.py [--flights 5000] [--looks 20]``.

The tables lie in a SQLite file; between the looks a writer moves every flight, as the provider does every 15 s. Prints
milliseconds of CPU for a whole look (reading, comparing), for writing down what is remembered, and the rows read.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from support.adl_tables import AdlTables, sql_time
from swim_server.sources.adl.database import AdlDatabase
from swim_server.sources.adl.table_reader import FlightTables
from swim_server.sources.state_file import StateFile

ROUTE = "DCT MERIT ROBUC3 " + "WAVEY EMJAY J174 SWL CEBEE WETRO ILM AR22 " * 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flights", type=int, default=5_000)
    parser.add_argument("--looks", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.flights, options.looks)


def measure(folder: Path, flights: int, looks: int) -> None:
    """Fill the tables, look, and print."""
    tables, now = AdlTables(folder / "adl.db"), 1_768_573_815.0
    fill(tables, flights, now)
    names = tables.config()
    database, reader = AdlDatabase(names.flights, "[adl.main.flights]"), FlightTables(names)
    state = StateFile(folder / "state.json", reader.memory_type)
    memory = reader.fresh("adl:")
    looking, saving, events, rows = [], [], 0, 0
    for number in range(looks + 1):
        now += 15
        move(tables, now, number)
        began = time.thread_time()
        with database.reading() as connection:
            if number == 0:
                layout = reader.probe(connection, database.is_missing)
            outcome = reader.look(connection, layout, memory, round(now * 1000))
        looked = time.thread_time()
        state.save(outcome.memory)
        memory, rows = outcome.memory, outcome.rows
        if number:
            looking.append((looked - began) * 1000)
            saving.append((time.thread_time() - looked) * 1000)
            events += len(outcome.events)
    size = (folder / "state.json").stat().st_size
    print(f"{flights:,} active flights, {looks} looks, {rows:,} rows read a look, {events:,} events")
    for title, times in (("look: read and compare", looking), ("remember", saving)):
        ordered = sorted(times)
        print(f"{title:24} p50 {statistics.median(ordered):7.1f} ms   max {ordered[-1]:7.1f} ms")
    print(f"remembered: {size / 1e6:.1f} MB")


def fill(tables: AdlTables, flights: int, now: float) -> None:
    """Insert every flight with plan, position and times."""
    with tables.connect() as connection:
        for uid in range(1, flights + 1):
            seen = (sql_time(now), sql_time(now))
            connection.execute("INSERT INTO adl_flight_core VALUES (?, ?, 1, ?, ?, 'ZNY', 3)", (uid, f"N{uid}", *seen))
            connection.execute("INSERT INTO adl_flight_plan VALUES (?, 'KJFK', 'KBOS', 'H/B77W/L', ?)", (uid, ROUTE))
            place = (uid, 40 + uid / 1000, -73 - uid / 1000)
            connection.execute("INSERT INTO adl_flight_position VALUES (?, ?, ?, 35000, 450, 0, 90, NULL)", place)
            connection.execute("INSERT INTO adl_flight_times VALUES (?, NULL, NULL)", (uid,))


def move(tables: AdlTables, now: float, number: int) -> None:
    """Move everything, as the writer's cycle does; a few take off."""
    with tables.connect() as connection:
        connection.execute("UPDATE adl_flight_core SET last_seen_utc = ? WHERE is_active = 1", (sql_time(now),))
        connection.execute("UPDATE adl_flight_position SET lon = lon + 0.02")
        taking_off = "UPDATE adl_flight_times SET off_utc = ? WHERE flight_uid % 500 = ? AND off_utc IS NULL"
        connection.execute(taking_off, (sql_time(now - 3), number))


if __name__ == "__main__":
    main()
