"""What an adapter of a third-party library needs besides the few lines from the library's own documentation."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Listen = Callable[["Subject"], Awaitable[None]]


class Subject:
    """One client: where it connects, what it subscribes to, and how it reports each message."""

    def __init__(self, name: str, command: dict[str, Any]) -> None:
        self.name = name
        self.url: str = command["url"]
        self.headers = {"X-SWIM-API-Key": command["key"]}
        self.rules: list[dict[str, Any]] = []
        self.subscription = ""
        """The message with which the program subscribes."""
        self.send: Callable[[str], Awaitable[None]] | None = None
        """Set by ``listen`` while it has a connection."""
        self.task: asyncio.Task[None] | None = None

    def take(self, text: str) -> None:
        """Report one message, as a program would read it."""
        message = json.loads(text)
        kind = message["type"]
        data = message.get("data") or {}
        if "." in kind:
            self.report(saw="event", type=kind, id=message.get("id"), data=data)
        else:
            self.report(**{**message, **data, "saw": kind})
        self.follow("event" if "." in kind else kind, data)

    def ended(self, code: int | None, reason: str = "") -> None:
        """Report the end of a connection."""
        self.report(saw="disconnected", code=code, reason=reason)
        self.follow("disconnected", {})

    def follow(self, kind: str, data: dict[str, Any]) -> None:
        """Carry out what was requested for this moment."""
        for rule in list(self.rules):
            if rule["on"] == kind and ("n" not in rule or rule["n"] == data.get("n")):
                if not rule.get("every"):
                    self.rules.remove(rule)
                if rule["then"] == "disconnect" and self.task is not None:
                    self.task.cancel()

    async def obey(self, command: dict[str, Any], listen: Listen) -> None:
        """Carry out one command."""
        what = command["do"]
        if what == "connect" and self.task is None:
            self.task = asyncio.create_task(self.run(listen))
        elif what == "disconnect" and self.task is not None:
            self.task.cancel()
        elif what == "disconnect":
            self.report(saw="ended", why="stopped")
        elif what == "when":
            self.rules.append(command)
        elif what in ("subscribe", "unsubscribe", "ping", "status"):
            fields = {name: value for name, value in command.items() if name not in ("client", "do")}
            text = json.dumps({"action": what, **fields})
            if what == "subscribe" and not self.subscription:
                self.subscription = text
            if self.send is not None:
                await self.send(text)

    async def run(self, listen: Listen) -> None:
        """Run the library's few lines to completion."""
        why = "stopped"
        try:
            await listen(self)
            why = "lost"
        except asyncio.CancelledError:
            pass
        except Exception as error:
            why = type(error).__name__
        self.task = None
        self.report(saw="ended", why=why)

    def report(self, **fields: Any) -> None:
        """Write one report."""
        print(json.dumps({"client": self.name, **fields}), flush=True)


async def serve(name: str, version: str, listen: Listen) -> None:
    """Carry out commands until standard input ends."""
    print(json.dumps({"saw": "ready", "name": name, "version": version, "can": ["close_1012"]}), flush=True)
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    subjects: dict[str, Subject] = {}
    async for line in reader:
        command = json.loads(line)
        if command["do"] == "create":
            subjects[command["client"]] = Subject(command["client"], command)
        else:
            await subjects[command["client"]].obey(command, listen)
