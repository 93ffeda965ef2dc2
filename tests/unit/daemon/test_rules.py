"""The rules that a configuration stands for, and the address to connect to on this machine."""

from __future__ import annotations

import pytest
from swim_server.config import PublishConfig, TierConfig, TiersConfig
from swim_server.daemon.rules import dialable_url, publishing_rules, tier_limits
from swim_server.protocol.channels import Catalogue
from swim_server.streaming.admission import TierLimit


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8090/api/swim/v1/ws"),
        ("0.0.0.0", "ws://127.0.0.1:8090/api/swim/v1/ws"),
        ("", "ws://127.0.0.1:8090/api/swim/v1/ws"),
        ("::", "ws://[::1]:8090/api/swim/v1/ws"),
        ("::1", "ws://[::1]:8090/api/swim/v1/ws"),
        ("2001:db8::1", "ws://[2001:db8::1]:8090/api/swim/v1/ws"),
        ("swim.test", "ws://swim.test:8090/api/swim/v1/ws"),
    ],
)
def test_address_is_one_that_this_machine_can_dial(host: str, expected: str) -> None:
    assert dialable_url(host, 8090) == expected


def test_limits_are_those_of_the_four_tiers() -> None:
    limits = tier_limits(TiersConfig(partner=TierConfig(connections=7, connections_per_key=2, messages_per_second=3)))
    assert limits["partner"] == TierLimit(7, 2, 3)
    assert {tier: limit.connections for tier, limit in limits.items()} == {
        "public": 5,
        "developer": 50,
        "partner": 7,
        "system": 10_000,
    }


def test_limit_of_an_event_is_never_more_than_clients_can_be_sent() -> None:
    assert publishing_rules(PublishConfig(max_event_bytes=1_000_000), Catalogue()).max_event_bytes == 65_535
    assert publishing_rules(PublishConfig(max_event_bytes=2_000), Catalogue()).max_event_bytes == 2_000
