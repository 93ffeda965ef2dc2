"""What every client says on standard output: one JSON object a line. And what an event asks of it.

A client is started as ``PROGRAM URL SUBSCRIBE BUSY_SECONDS``.
"""

import json
import sys

URL, SUBSCRIBE = sys.argv[1], sys.argv[2]
BUSY_SECONDS = float(sys.argv[3])
FLOOD = "x" * 1_100_000
"""Beyond the 1 MiB at which the service closes with 1009."""


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def message(text: str) -> str | None:
    """Tell of a message; return what it asks: ``busy``, ``flood`` or ``bye``."""
    print(f'{{"message":{text}}}', flush=True)
    return next((word for word in ("busy", "flood", "bye") if f'"do":"{word}"' in text[:500]), None)
