"""What doctor concludes about the rows of keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext, key
from swim_server.keys.format import Tier
from swim_server.sql.errors import StoreUnavailable

from swimctl.doctor.check import Answer, Check
from swimctl.doctor.checks import keys
from swimctl.doctor.checks.keys import CHECKS, _judge_refusal
from swimctl.doctor.probes.wire import Greeting

NOW = datetime.now(UTC)


@pytest.fixture
def service(tmp_path: Path) -> ServiceContext:
    return ServiceContext(tmp_path)


def check(id: str) -> Check:
    return next(each for each in CHECKS if each.id == id)


async def about(service: ServiceContext, id: str, *records: Any) -> Answer:
    service.keys(*records)
    return await check(id).ask(service)


async def test_plaintext_row_is_a_warning(service: ServiceContext) -> None:
    answer = await about(service, "keys.hashed", key(1), key(2, is_plaintext=True))
    assert (answer.status, answer.command) == ("warn", "swimctl keys harden --yes")
    assert answer.evidence == ("key 2 of vNAS",)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"expires_at": NOW + timedelta(days=13)}, "warn"),
        ({"expires_at": NOW + timedelta(days=15)}, "ok"),
        ({"expires_at": NOW - timedelta(days=1)}, "ok"),
        ({"expires_at": NOW + timedelta(days=1), "is_active": False}, "ok"),
        ({}, "ok"),
    ],
    ids=["within", "later", "over", "revoked", "never"],
)
async def test_key_that_ends_within_two_weeks_is_a_warning(service: ServiceContext, fields: Any, status: str) -> None:
    assert (await about(service, "keys.expiring", key(**fields))).status == status


@pytest.mark.parametrize(
    ("successor", "status"),
    [
        (key(2, expires_at=NOW + timedelta(days=90)), "ok"),
        (key(2), "ok"),
        (key(2, owner_name="another"), "warn"),
        (key(2, tier=Tier.PARTNER), "warn"),
        (key(2, is_active=False), "warn"),
    ],
    ids=range(5),
)
async def test_key_that_was_rotated_has_been_seen_to(service: ServiceContext, successor: Any, status: str) -> None:
    old = key(1, expires_at=NOW + timedelta(days=1))
    assert (await about(service, "keys.expiring", old, successor)).status == status


async def test_key_that_ends_first_is_the_one_to_rotate(service: ServiceContext) -> None:
    records = [key(number, expires_at=NOW + timedelta(days=10 - number)) for number in range(1, 8)]
    answer = await about(service, "keys.expiring", *records)
    assert answer.command == "swimctl keys rotate 7"
    assert len(answer.evidence) == 5


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"last_used_at": None}, "warn"),
        ({"last_used_at": None, "created_at": NOW - timedelta(days=2)}, "ok"),
        ({"last_used_at": None, "created_at": None}, "ok"),
        ({"last_used_at": None, "is_active": False}, "ok"),
        ({"last_used_at": None, "expires_at": NOW}, "ok"),
        ({}, "ok"),
    ],
    ids=range(6),
)
async def test_key_that_nobody_ever_used_is_a_warning(service: ServiceContext, fields: Any, status: str) -> None:
    assert (await about(service, "keys.used", key(**fields))).status == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"tier": Tier.SYSTEM, "owner_name": " "}, "warn"),
        ({"tier": Tier.SYSTEM, "owner_name": "", "is_active": False}, "ok"),
        ({"tier": Tier.PUBLIC, "owner_name": ""}, "ok"),
        ({"tier": Tier.SYSTEM}, "ok"),
    ],
    ids=range(4),
)
async def test_system_key_of_nobody_is_a_warning(service: ServiceContext, fields: Any, status: str) -> None:
    assert (await about(service, "keys.owned", key(**fields))).status == status


async def test_key_of_no_tier_is_a_warning_and_what_it_says_is_cut(service: ServiceContext) -> None:
    answer = await about(service, "keys.tiered", key(unknown_tier="g" * 500))
    assert answer.status == "warn"
    assert len(answer.evidence[0]) < 100


@pytest.mark.parametrize("id", [each.id for each in CHECKS if each.id != "keys.made-up-refused"])
async def test_table_that_can_not_be_read_is_unknown(service: ServiceContext, id: str) -> None:
    service.known["database.rows"] = StoreUnavailable("away")
    assert (await check(id).ask(service)).status == "unknown"


@pytest.mark.parametrize("id", [each.id for each in CHECKS if each.id != "keys.made-up-refused"])
async def test_no_keys_at_all_are_well(service: ServiceContext, id: str) -> None:
    assert (await about(service, id)).status == "ok"


@pytest.mark.parametrize(
    ("greeting", "status"),
    [
        (Greeting(False, {"type": "error", "code": "AUTH_FAILED", "message": "no"}, 4001), "ok"),
        (Greeting(False, {"type": "error", "message": None}, 4001), "ok"),
        (Greeting(True, {"type": "connected"}), "fail"),
        (Greeting(False, {"type": "error", "code": "AUTH_UNAVAILABLE"}, 1013), "unknown"),
        (Greeting(False, {"type": "error", "code": "AUTH_FAILED"}, 1008), "fail"),
        (Greeting(False, {}), "fail"),
        (Greeting(False, {"type": "connected ", "data": 7}), "fail"),
        (None, "unknown"),
    ],
    ids=range(8),
)
def test_only_4001_refuses_a_made_up_key(greeting: Greeting | None, status: str) -> None:
    assert _judge_refusal(greeting).status == status


async def test_process_without_an_address_is_unknown(service: ServiceContext) -> None:
    service.answers["probe_refusal"] = {"announced": True}
    service.answers["status"]["url"] = None
    answer = await keys.made_up_refused(service)
    assert (answer.status, answer.observed) == ("unknown", "the running process doesn't listen yet")


@pytest.mark.parametrize("url", [7, "", "http://x", "ws://", "\x00"])
async def test_address_that_is_none_is_unknown(service: ServiceContext, url: Any) -> None:
    service.answers["probe_refusal"] = {"announced": True}
    service.answers["status"]["url"] = url
    assert (await keys.made_up_refused(service)).status == "unknown"
