"""What doctor concludes about the live connections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext, key, tally
from swim_server.config import Config, ExpectConfig, ExpectConnectionsConfig, ExpectedCount
from swim_server.daemon.control.documents.diagnostics import Tally
from swim_server.keys.format import Tier
from swim_server.sql.errors import StoreUnavailable

from swimctl.doctor.checks.connections import clients, counts, keys
from swimctl.doctor.checks.connections.counts import _miscount
from swimctl.doctor.probes.database import key_database


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceContext:
    """Second looks come at once, and find the table as it was."""
    for module in (clients, counts, keys):
        monkeypatch.setattr(module, "SECOND_LOOK_SECONDS", 0)
    context = ServiceContext(tmp_path)

    async def rows_again(_: object) -> Any:
        return context.known.get("key rows later", context.known["database.rows"])

    monkeypatch.setattr(key_database, "rows_again", rows_again)
    return context


async def test_connections_whose_key_holds_are_well(service: ServiceContext) -> None:
    assert (await keys.keys_hold(service)).observed == "2 connections of 1 keys"


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (key(is_active=False), "not active"),
        (key(expires_at=datetime.now(UTC) - timedelta(seconds=1)), "expired"),
        (key(tier=Tier.PUBLIC), "tier has changed"),
        (key(unknown_tier="gold"), "no valid tier"),
        (key(2), "not known"),
    ],
    ids=["revoked", "expired", "other-tier", "no-tier", "gone"],
)
async def test_connection_whose_key_lets_nobody_in_is_a_failure(
    service: ServiceContext, record: Any, told: str
) -> None:
    service.keys(record)
    answer = await keys.keys_hold(service)
    assert (answer.status, answer.command) == ("fail", "swimctl keys show 1")
    assert [each.kind for each in answer.advice if each.command == "swimctl reload"] == ["decide"]
    assert told in answer.observed


async def test_connection_that_is_gone_at_the_second_look_is_no_alarm(service: ServiceContext) -> None:
    service.keys(key(is_active=False))
    service.later["tally"] = [tally(keys=[])]
    assert (await keys.keys_hold(service)).status == "ok"


async def test_key_made_between_the_two_readings_is_no_alarm(service: ServiceContext) -> None:
    service.keys()
    service.known["key rows later"] = {1: key()}
    assert (await keys.keys_hold(service)).status == "ok"


async def test_connection_of_a_tier_that_is_none_is_a_failure(service: ServiceContext) -> None:
    found = tally(keys=[{"key_id": 1, "tier": "gold", "owner": "x", "connections": 1}])
    service.answers["tally"] = found
    assert "tier gold is none" in (await keys.keys_hold(service)).observed


async def test_table_that_can_not_be_read_is_unknown(service: ServiceContext) -> None:
    service.known["database.rows"] = StoreUnavailable("away")
    assert (await keys.keys_hold(service)).status == "unknown"


# Counting.


def tallied(**more: Any) -> Tally:
    import msgspec

    return msgspec.convert(tally(**more), Tally)


@pytest.mark.parametrize("kernel", [0, 1, 2, 3, 4])
def test_same_count_but_for_one_that_comes_or_goes_is_well(kernel: int) -> None:
    assert _miscount(tallied(), kernel, tallied()) is None


@pytest.mark.parametrize("kernel", [5, 50])
def test_kernel_holds_more_than_the_process_counts(kernel: int) -> None:
    assert _miscount(tallied(), kernel, tallied()) == f"the process counts 2 connections, the kernel {kernel}"


def test_process_counts_more_than_the_kernel_holds() -> None:
    found = tallied(made=20, gone=8, public=12, admitted={}, listed={})
    assert _miscount(found, 3, found) is not None


def test_churn_between_the_two_tallies_explains_a_difference() -> None:
    after = tallied(made=510, gone=8, public=502)
    assert _miscount(tallied(), 300, after) is None
    assert _miscount(tallied(), 600, after) is not None


def test_places_that_no_client_holds_are_a_miscount() -> None:
    found = tallied(admitted={"developer": 3})
    assert _miscount(found, 2, found) == "tier developer counts 3, but 2 clients of it are there"


def test_place_of_a_client_that_is_being_closed_is_none() -> None:
    found = tallied(admitted={"developer": 3}, closing=1)
    assert _miscount(found, 2, found) is None


def test_client_that_holds_no_place_is_a_miscount() -> None:
    found = tallied(admitted={"developer": 1})
    assert _miscount(found, 2, found) is not None


# Expected ones.


def expecting(**bounds: Any) -> Config:
    return Config(expect=ExpectConfig(connections=ExpectConnectionsConfig(**bounds)))


async def test_nothing_expected_is_nothing_to_ask(service: ServiceContext) -> None:
    assert (await counts.expected(service)).status == "skip"


@pytest.mark.parametrize(
    ("bounds", "status"),
    [
        ({"developer": ExpectedCount(min=2)}, "ok"),
        ({"developer": ExpectedCount(min=3)}, "fail"),
        ({"developer": ExpectedCount(max=1)}, "fail"),
        ({"developer": ExpectedCount(min=1, max=2)}, "ok"),
        ({"partner": ExpectedCount(min=1)}, "fail"),
        ({"partner": ExpectedCount(max=0)}, "ok"),
        ({"owner": {"vNAS": ExpectedCount(min=1)}}, "ok"),
        ({"owner": {"vnas": ExpectedCount(min=1)}}, "fail"),
        ({"owner": {"nobody": ExpectedCount()}}, "ok"),
    ],
    ids=range(9),
)
async def test_expected_connections_are_held_against_those_there(
    service: ServiceContext, bounds: Any, status: str
) -> None:
    service.config = expecting(**bounds)
    assert (await counts.expected(service)).status == status


async def test_expected_client_that_is_back_at_the_second_look_is_no_alarm(service: ServiceContext) -> None:
    service.config = expecting(owner={"vNAS": ExpectedCount(min=1)})
    service.answers["tally"] = tally(keys=[])
    service.later["tally"] = [tally()]
    assert (await counts.expected(service)).status == "ok"


# Slow ones, old ones.

LAGGARD = {"id": "client_1", "key_id": 1, "owner": "vNAS", "buffered_bytes": 70_000}


async def test_client_that_lags_at_both_looks_is_a_warning_that_names_it(service: ServiceContext) -> None:
    service.answers["tally"] = tally(lagging=[LAGGARD])
    answer = await clients.keep_up(service)
    assert (answer.status, answer.command) == ("warn", "swimctl connections list --key 1")
    assert answer.evidence == ("client_1, key 1 of vNAS: 70000 bytes wait for it",)


async def test_burst_that_is_over_at_the_second_look_is_no_alarm(service: ServiceContext) -> None:
    service.answers["tally"] = tally(lagging=[LAGGARD])
    service.later["tally"] = [tally(lagging=[{**LAGGARD, "id": "client_2"}])]
    assert (await clients.keep_up(service)).status == "ok"


@pytest.mark.parametrize(("ago", "status"), [(5.0, "warn"), (5000.0, "ok")])
async def test_client_closed_lately_for_being_slow_is_told(service: ServiceContext, ago: float, status: str) -> None:
    evicted = {"seconds_ago": ago, "id": "client_1", "key_id": 1, "owner": "vNAS"}
    service.answers["tally"] = tally(evictions=[evicted], slow_consumers=1)
    assert (await clients.keep_up(service)).status == status


def cuts(count: int, seconds: float, every: float) -> list[dict[str, float]]:
    return [{"seconds_ago": number * every, "seconds": seconds} for number in range(count)]


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        ([], "ok"),
        (cuts(7, 10.0, 20.0), "ok"),
        (cuts(20, 10.0, 20.0), "warn"),
        (cuts(20, 10.0, 0.01), "ok"),
        (cuts(20, 300.0, 20.0), "ok"),
        (cuts(20, 10.0, 20.0) + cuts(30, 400.0, 15.0), "ok"),
        (cuts(20, 10.0, 700.0), "ok"),
        ([{"seconds_ago": 20.0 * each, "seconds": 1.4**each} for each in range(10)], "ok"),
    ],
    ids=["none", "few", "a proxy", "a program killed", "longer than a heartbeat", "one of many", "long ago", "clients"],
)
async def test_connections_cut_at_one_age_one_after_the_other_are_a_proxys(
    service: ServiceContext, ended: list[dict[str, float]], status: str
) -> None:
    service.answers["config"] = {"server": {"heartbeat_seconds": 30.0}}
    service.answers["tally"] = tally(cuts=ended)
    answer = await clients.not_cut(service)
    assert answer.status == status, answer
    if status == "warn":
        assert "lasted 10 s; heartbeats come every 30 s" in answer.observed
        assert [each.kind for each in answer.advice] == ["inspect", "decide"]


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ("swim-client/0.0.1 Python/3.8", "warn"),
        ("swim-client/99.0.0", "ok"),
        ("swim-client/", "ok"),
        ("", "ok"),
        ("Mozilla/5.0", "ok"),
    ],
)
async def test_only_clients_that_tell_an_older_version_are_old(
    service: ServiceContext, agent: str, status: str
) -> None:
    service.answers["tally"] = tally(agents={agent: 3})
    assert (await clients.current(service)).status == status


async def test_clients_that_never_subscribed_are_a_warning_with_their_owners(service: ServiceContext) -> None:
    assert (await clients.subscribed(service)).status == "ok"
    service.answers["tally"] = tally(without_channel={"vNAS": 3, "ADL": 1})
    answer = await clients.subscribed(service)
    assert (answer.status, answer.command) == ("warn", "swimctl connections list")
    assert (
        answer.observed == "4 have subscribed to nothing for a minute or longer: vNAS: 3 connections; ADL: 1 connection"
    )
