"""Writes the same bytes to many sockets of the event loop, past their transports."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Sequence
from itertools import repeat


def write_each(descriptors: Sequence[int], data: bytes) -> list[tuple[int, int]]:
    """Write to every socket; return the places of those that did not take all of it, with how many bytes they took.

    Other threads may run meanwhile; nothing else of the loop's does.
    """
    short: list[tuple[int, int]] = []
    size, place = len(data), 0
    while place < len(descriptors):
        try:
            for sent in map(os.write, descriptors[place:], repeat(data)):
                if sent != size:
                    short.append((place, sent))
                place += 1
        except OSError:  # the socket is full, or its client has gone: its transport meets the same, and handles it
            short.append((place, 0))
            place += 1
    return short


def descriptor_of(transport: asyncio.Transport) -> int | None:
    """Return the socket of a transport, unless it encrypts, or holds bytes that must go first.

    It stays open until the loop has told the transport's protocol that the connection is lost.
    """
    if transport.get_write_buffer_size() or transport.is_closing():
        return None
    if transport.get_extra_info("sslcontext") is not None:
        return None
    found: int = transport.get_extra_info("socket").fileno()
    return found if found >= 0 else None


def thread_waits() -> int:
    """Return how often this thread has waited for something; 0 where the system doesn't tell."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if hasattr(resource, "RUSAGE_THREAD") else 0
