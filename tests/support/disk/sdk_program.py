"""An SDK program with a resume file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from swim_client import SWIMClient

SDK_SECONDS = 10.0


async def handle_events(url: str, api_key: str, resume_file: Path, count: int) -> list[str]:
    """Run an SDK program that handles this many events; return their names, or ``gap`` where one was reported."""
    handled: list[str] = []
    client = SWIMClient(api_key, url=url, resume_file=resume_file, reconnect=False)

    def handle(name: str) -> None:
        handled.append(name)
        if len(handled) >= count:
            client.stop()

    client.on("gap")(lambda *_: handle("gap"))
    client.on("error")(lambda *_: handle("error"))
    client.on("flight.departed")(lambda event: handle(str(event["callsign"])))
    if resume_file.exists():
        client.subscribe(["flight.departed"])
    else:
        client.subscribe(["flight.departed"], last=1000)
    async with asyncio.timeout(SDK_SECONDS):
        await client.run_async()
    return handled
