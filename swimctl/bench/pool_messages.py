"""What the measuring process and a process full of clients tell each other: one line of JSON each."""

from __future__ import annotations

import msgspec


class Task(msgspec.Struct):
    """What one process is to do."""

    host: str
    port: int
    path: str
    api_key: str
    clients: int
    channel: str
    prefix: str
    """The text that the marks of this run begin with."""
    open_seconds: float
    """A client that isn't listening after this time has failed."""


class Opened(msgspec.Struct):
    """How many clients listen, and how many failed."""

    listening: int
    failed: int
    seconds: float
    reason: str | None = None
    """Why one of the failed clients failed."""


class Finish(msgspec.Struct):
    """The last event has been published."""

    last_sequence: int
    wait_seconds: float


class Result(msgspec.Struct):
    """What the clients received."""

    deliveries: int
    complete: int
    """Clients that received every event."""
    missing: int
    """Deliveries that never arrived."""
    repeated: int
    bytes: int
    buckets: dict[int, int]
    largest_ns: int
    closed: dict[int, int]
    """How often the service closed a client's connection, by code; 1006: without a close frame."""
    resumed: int
    """How often a client connected again and went on after the last event that it had."""
    gaps: int
    """How often the service said then that something may be missing."""
    away: int
    """Clients that were not connected at the end."""
    cpu_seconds: float
