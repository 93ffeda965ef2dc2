"""The event loop of every process of the service, and how threads share the interpreter with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

THREAD_TURN_SECONDS = 0.0005
"""Python's switch interval: how long the loop waits for the GIL while a thread reads history or keys; default 5 ms."""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what creates the loop; None: the standard one."""
    try:
        import uvloop
    except ImportError:  # no wheel for this interpreter: the standard loop works too, but slower
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
