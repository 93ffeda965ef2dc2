"""What a process of a node asks of its clients because of what happens between nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.protocol.codes import CloseCode
from swim_server.streaming.connection import LOCAL_TIER

if TYPE_CHECKING:
    from swim_server.streaming.hub import Hub

RESUME = "a stretch of history is missing: resume from your last id; retry_ms=200"
GIVEN_UP = "other clients have this one's place; retry_ms=1000"


def give_up(hub: Hub, tier: str, number: int) -> None:
    """Ask the newest clients of a tier to reconnect: they find a slot, or are told that there is none."""
    newest = [connection for connection in hub.connections.values() if connection.tier == tier][-number:]
    for connection in newest if number else []:
        connection.transport.close(CloseCode.SERVICE_RESTART, GIVEN_UP)


def ask_to_resume(hub: Hub) -> None:
    """Ask every client to reconnect: resuming tells it what is missing.

    A command of this machine is asked only if it listens, like ``tail``: to others, events mean nothing.
    """
    hub.recent.forget()
    for connection in list(hub.connections.values()):
        if connection.tier != LOCAL_TIER or connection.subscription.channels:
            connection.transport.close(CloseCode.SERVICE_RESTART, RESUME)
