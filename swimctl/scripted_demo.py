"""``swimctl demo --script``: a server that treats a client as a script says, and reports what the client does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from swim_conformance.script import Script, ScriptError
from swim_conformance.scripted_server import ScriptedServer, describe

from swimctl.errors import CommandFailed, WrongUsage
from swimctl.output import Output


def play_script(path: Path, port: int, output: Output, count: int | None = None) -> None:
    """Play a script until interrupted, or until the client has done ``count`` things.

    Raises WrongUsage, CommandFailed.
    """
    try:
        script = Script.load(path)
    except ScriptError as problem:
        raise WrongUsage(str(problem)) from None
    except OSError as problem:
        raise WrongUsage(f"{path}: {problem.strerror}") from None
    try:
        with suppress(KeyboardInterrupt):  # this is how it ends
            asyncio.run(_play(script, port, output, count))
    except OSError as problem:
        raise CommandFailed(f"port {port}: {problem.strerror}", "choose another with --port") from None


async def _play(script: Script, port: int, output: Output, count: int | None) -> None:
    is_over = asyncio.Event()
    entries = 0

    def tell(entry: dict[str, Any]) -> None:
        nonlocal entries
        output.line(describe(entry))
        entries += 1
        if count is not None and entries >= count:
            is_over.set()

    server = ScriptedServer(script, on_entry=tell)
    await server.start(port=port)
    output.line(f"listening on {server.url}; any key is accepted")
    try:
        await is_over.wait()
    finally:
        await server.stop()
