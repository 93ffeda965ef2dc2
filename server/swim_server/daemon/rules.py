"""Converts configuration values into what the parts of the daemon take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.gateway.request import DEFAULT_PATH
from swim_server.keys.format import Tier
from swim_server.protocol.positions import MAX_MESSAGE_BYTES
from swim_server.streaming.admission import TierLimit
from swim_server.streaming.publishing import Publishing

if TYPE_CHECKING:
    from swim_server.config import PublishConfig, TiersConfig
    from swim_server.logs import Logger
    from swim_server.protocol.channels import Catalogue


def publishing_rules(config: PublishConfig, catalogue: Catalogue) -> Publishing:
    """Return the rules of ``[publish]``, limited to what clients can be sent."""
    return Publishing(
        catalogue,
        events_per_second=config.events_per_second,
        max_event_bytes=min(config.max_event_bytes, MAX_MESSAGE_BYTES),
        channels_by_key={int(key_id): key.channels for key_id, key in config.keys.items() if key.channels},
    )


def warn_of_clamped_events(config: PublishConfig, log: Logger) -> None:
    """Log if larger events are configured than clients can be sent."""
    if config.max_event_bytes > MAX_MESSAGE_BYTES:
        log.warning(
            "[publish] max_event_bytes is more than clients can be sent: the smaller limit applies",
            configured=config.max_event_bytes,
            effective=MAX_MESSAGE_BYTES,
        )


def tier_limits(tiers: TiersConfig) -> dict[str, TierLimit]:
    """Return the limits of ``[tiers]``, by tier."""
    return {
        str(tier): TierLimit(
            connections=(config := getattr(tiers, tier.value)).connections,
            connections_per_key=config.connections_per_key,
            messages_per_second=config.messages_per_second,
            requests_per_minute=config.requests_per_minute,
        )
        for tier in Tier
    }


def dialable_url(host: str, port: int, *, is_tls: bool = False) -> str:
    """Return the address at which this machine reaches a service bound to ``host``."""
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    scheme = "wss" if is_tls else "ws"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{DEFAULT_PATH}"
