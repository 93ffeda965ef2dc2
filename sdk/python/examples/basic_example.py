#!/usr/bin/env python3
"""Print departures, arrivals and new flights as they happen.

    export SWIM_API_KEY=your-key        (or give the key as the argument)
    python basic_example.py

Ctrl-C ends it.
"""

import sys

from swim_client import AuthenticationError, SWIMClient


def main() -> int:
    client = SWIMClient(sys.argv[1] if len(sys.argv) > 1 else None)

    @client.on("connected")
    def on_connected(info, timestamp):
        print(f"connected to {client.url} as {info.client_id} ({info.tier or 'former server'})", flush=True)

    @client.on("flight.departed")
    def on_departure(event, timestamp):
        print(f"{timestamp}  {event.callsign:<8} departed {event.dep} for {event.arr}", flush=True)

    @client.on("flight.arrived")
    def on_arrival(event, timestamp):
        print(f"{timestamp}  {event.callsign:<8} arrived at {event.arr} from {event.dep}", flush=True)

    @client.on("flight.created")
    def on_created(event, timestamp):
        print(f"{timestamp}  {event.callsign:<8} new: {event.dep} to {event.arr}, {event.equipment}", flush=True)

    @client.on("reconnected")
    def on_reconnected(info, timestamp):
        print(f"-- reconnected, {info.recovered or 0} events recovered --", flush=True)

    @client.on("gap")
    def on_gap(gap, timestamp):
        print(f"-- events may be missing: {gap.reason} --", flush=True)

    @client.on("error")
    def on_error(error, timestamp):
        print(f"-- {error.code}: {error.message} --", file=sys.stderr)

    client.subscribe(["flight.departed", "flight.arrived", "flight.created"])
    try:
        client.run()
    except AuthenticationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
