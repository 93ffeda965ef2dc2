#!/usr/bin/env python3
"""Follow the positions of flights: all of them, or those whose callsign begins with a prefix.

    export SWIM_API_KEY=your-key        (or give the key as the first argument)
    python position_tracker.py [PREFIX]

Positions are only worth something while they are new, so this one does not ask for those it missed.
"""

import sys

from swim_client import AuthenticationError, Position, PositionBatch, SWIMClient


def phase(position: Position) -> str:
    """Climbing, descending or level, by the vertical rate."""
    if position.vertical_rate_fpm > 500:
        return "climbing"
    return "descending" if position.vertical_rate_fpm < -500 else "level"


def main() -> int:
    arguments = sys.argv[1:]
    api_key = arguments.pop(0) if arguments and len(arguments[0]) > 8 else None
    prefixes = [argument.upper() for argument in arguments]
    shown = {}  # callsign -> altitude when it was last printed
    client = SWIMClient(api_key, resume=False)

    @client.on("connected")
    def on_connected(info, timestamp):
        print(f"following {', '.join(prefixes) or 'all flights'} as {info.client_id}", flush=True)

    @client.on("flight.positions")
    def on_positions(batch: PositionBatch, timestamp):
        for position in batch.positions:
            if abs(shown.get(position.callsign, -9999) - position.altitude_ft) > 500:
                shown[position.callsign] = position.altitude_ft
                print(
                    f"{position.callsign:<8} {position.latitude:8.4f} {position.longitude:9.4f} "
                    f"{position.altitude_ft:6d} ft {position.groundspeed_kts:4d} kt {position.heading_deg:03d} "
                    f"{phase(position):<10} {position.dep or '????'} -> {position.arr or '????'}",
                    flush=True,
                )

    @client.on("flight.deleted")
    def on_deleted(event, timestamp):
        if shown.pop(event.callsign, None) is not None:
            print(f"{event.callsign:<8} is gone; following {len(shown)}", flush=True)

    client.subscribe(["flight.positions", "flight.deleted"], callsign_prefix=prefixes or None)
    try:
        client.run()
    except AuthenticationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
