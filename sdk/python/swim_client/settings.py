"""How a client behaves; all of it has defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Times in seconds."""

    reconnect: bool = True
    reconnect_interval: float = 1.0
    """The first wait is a random part of this; each further one may be twice as long."""
    max_reconnect_interval: float = 60.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    messages_per_second: int = 8
    """Requests to the server, whose limit is 10."""
    max_queued_events: int = 1000
    max_queued_bytes: int = 8 * 1024 * 1024
    resume: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, bool) and not value > 0:
                raise ValueError(f"{name}: must be more than 0, got {value!r}")
