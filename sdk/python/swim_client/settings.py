"""How a client behaves; all of it has defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

LEAST_MESSAGE_BYTES = 4096
"""What the server takes as ``max_message_bytes``."""


@dataclass
class Settings:
    """Times in seconds. A program may change them while its client runs."""

    reconnect: bool = True
    reconnect_interval: float = 1.0
    """The first wait is a random part of this; each further one may be twice as long."""
    max_reconnect_interval: float = 60.0
    open_timeout: float = 15.0
    """For the upgrade, and again for the greeting that follows it."""
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    messages_per_second: int = 8
    """Requests to the server, whose limit is 10."""
    max_queued_events: int = 1000
    max_queued_bytes: int = 8 * 1024 * 1024
    resume: bool = True
    max_message_bytes: Optional[int] = None
    """The longest message that this program can take; None: whatever the server sends."""

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, bool) and not value > 0:
            raise ValueError(f"{name}: must be more than 0, got {value!r}")
        if name == "max_message_bytes" and value is not None and value < LEAST_MESSAGE_BYTES:
            raise ValueError(f"max_message_bytes: must be {LEAST_MESSAGE_BYTES} or more, got {value!r}")
        super().__setattr__(name, value)
