#!/usr/bin/env python3
"""Keep a list of the traffic management initiatives in force, with ``async for``.

export SWIM_API_KEY=your-key        (or give the key as the argument)
python tmi_monitor.py
"""

import asyncio
import sys

from swim_client import AuthenticationError, SWIMClient


async def monitor(api_key) -> None:
    in_force = {}  # program_id -> the event that issued or last changed it
    async with SWIMClient(api_key) as client:
        print(f"watching initiatives as {client.client_id}", flush=True)
        async for event in client.events(["tmi.*"]):
            if event.type == "tmi.released":
                in_force.pop(event.program_id, None)
            else:
                in_force[event.program_id] = event
            what = event.type.partition(".")[2]
            times = f"{event.start_time or '?'} to {event.end_time or '?'}"
            print(f"{event.timestamp}  {what:<8} {event.program_type} {event.airport} {times} {event.reason or ''}")
            print(
                f"  in force: {', '.join(f'{e.program_type} {e.airport}' for e in in_force.values()) or '-'}",
                flush=True,
            )


def main() -> int:
    try:
        asyncio.run(monitor(sys.argv[1] if len(sys.argv) > 1 else None))
    except AuthenticationError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
