#!/usr/bin/env python3
"""Count departures and arrivals at some airports; totals at the end. It goes on where it was when started again.

export SWIM_API_KEY=your-key        (or give the key as the first argument)
python airport_monitor.py KJFK KLAX KATL
"""

import sys
from collections import Counter
from pathlib import Path

from swim_client import AuthenticationError, SWIMClient

RESUME_FILE = Path("airport_monitor.resume.json")


def main() -> int:
    arguments = sys.argv[1:]
    api_key = arguments.pop(0) if arguments and len(arguments[0]) > 4 else None
    airports = [airport.upper() for airport in arguments]
    if not airports:
        print("usage: airport_monitor.py [API_KEY] AIRPORT [AIRPORT ...]", file=sys.stderr)
        return 2

    departures, arrivals = Counter(), Counter()
    # What happened while this program was not running is handed over first, as far as the server's history reaches.
    client = SWIMClient(api_key, resume_file=RESUME_FILE)

    @client.on("connected")
    def on_connected(info, timestamp):
        print(f"watching {', '.join(airports)} as {info.client_id}", flush=True)

    @client.on("flight.departed")
    def on_departure(event, timestamp):
        if event.dep in airports:  # the filter lets flights through that leave or arrive here
            departures[event.dep] += 1
            print(f"{event.callsign:<8} departed {event.dep} for {event.arr or '????'}", flush=True)

    @client.on("flight.arrived")
    def on_arrival(event, timestamp):
        if event.arr in airports:
            arrivals[event.arr] += 1
            print(f"{event.callsign:<8} arrived at {event.arr} from {event.dep or '????'}", flush=True)

    @client.on("gap")
    def on_gap(gap, timestamp):
        print(f"the totals may be too low: {gap.reason}", file=sys.stderr)

    client.subscribe(["flight.departed", "flight.arrived"], airports=airports)
    try:
        client.run()
    except AuthenticationError as error:
        print(error, file=sys.stderr)
        return 1
    for airport in airports:
        print(f"{airport}: {departures[airport]} departures, {arrivals[airport]} arrivals")
    return 0


if __name__ == "__main__":
    sys.exit(main())
