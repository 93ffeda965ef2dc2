"""What doctor concludes about limits, and about a trial of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_service import ServiceContext, promises, tally
from swim_server.config import Config, TierConfig, TiersConfig
from swim_server.daemon.control.documents.diagnostics import TierPromise

from swimctl.client.session import RpcFailed
from swimctl.doctor.checks import tiers
from swimctl.doctor.checks.connections import clients, keys
from swimctl.doctor.checks.stream import delivery
from swimctl.doctor.probes.tier_trial import Trial, _judge
from swimctl.doctor.probes.trial_client import Outcome
from swimctl.errors import CommandFailed


@pytest.fixture
def service(tmp_path: Path) -> ServiceContext:
    return ServiceContext(tmp_path)


def tier(**fields: Any) -> dict[str, Any]:
    return {"connections": 5, "connections_per_key": None, "messages_per_second": 10, "current": 0, **fields}


async def test_limits_of_the_table_are_in_force(service: ServiceContext) -> None:
    answer = await tiers.in_force(service)
    assert (answer.status, answer.expected) == ("ok", "public 5, developer 50, partner 500, system 10000")
    assert answer.evidence == ()


async def test_limits_that_the_configuration_chose_are_well_and_told(service: ServiceContext) -> None:
    service.config = Config(tiers=TiersConfig(public=TierConfig(connections=7)))
    service.answers["promises"]["tiers"]["public"]["connections"] = 7
    answer = await tiers.in_force(service)
    assert answer.status == "ok"
    assert answer.evidence == ("public.connections: the configuration says 7, the table 5",)


@pytest.mark.parametrize("field", ["connections", "connections_per_key", "messages_per_second"])
async def test_limit_that_the_process_applies_otherwise_is_a_failure(service: ServiceContext, field: str) -> None:
    service.answers["promises"]["tiers"]["public"][field] = 99
    answer = await tiers.in_force(service)
    assert (answer.status, answer.command) == ("fail", "swimctl reload")
    assert f"public.{field}: the process applies 99" in answer.observed


async def test_process_without_a_tier_is_a_failure(service: ServiceContext) -> None:
    del service.answers["promises"]["tiers"]["partner"]
    assert "partner: the process knows no such tier" in (await tiers.in_force(service)).observed


@pytest.mark.parametrize(("current", "status"), [(0, "ok"), (4, "ok"), (5, "warn"), (6, "warn")])
async def test_full_tier_is_a_warning(service: ServiceContext, current: int, status: str) -> None:
    service.answers["promises"]["tiers"]["public"]["current"] = current
    assert (await tiers.room(service)).status == status


async def test_nearly_full_tier_is_a_warning_that_does_not_say_full(service: ServiceContext) -> None:
    service.answers["promises"]["tiers"]["developer"]["current"] = 46
    assert (await tiers.room(service)).observed == "developer 46/50"


ABSURD: list[Any] = [
    None, 7, "x", [], {}, {"tiers": None}, promises(tiers={"public": 5}),
    promises(tiers={"public": tier(connections="many")}),
    promises(history=None), promises(sources={}), promises(sources=[{"name": None}]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ABSURD)))
async def test_answer_of_another_shape_is_told_and_breaks_nothing(service: ServiceContext, number: int) -> None:
    service.answers["promises"] = ABSURD[number]
    for ask in (tiers.in_force, tiers.room, delivery.history_kept):
        answer = await ask(service)
        assert answer.status == "unknown"
        assert "can't be read" in answer.observed


@pytest.mark.parametrize("absurd", [None, [], tally(keys=None), tally(made="x"), tally(lagging=[{}]), tally(agents=[])])
async def test_tally_of_another_shape_is_told(service: ServiceContext, absurd: Any) -> None:
    service.answers["tally"] = absurd
    for ask in (keys.keys_hold, clients.keep_up, clients.current):
        assert (await ask(service)).status == "unknown"


async def test_process_that_does_not_know_the_question_is_older(service: ServiceContext) -> None:
    service.answers["promises"] = RpcFailed("promises", -32601, "no such method")
    answer = await tiers.room(service)
    assert (answer.status, answer.command) == ("unknown", "swimctl restart")
    assert "its code is older" in answer.observed


async def test_process_that_does_not_answer_is_unknown(service: ServiceContext) -> None:
    service.answers["promises"] = CommandFailed("the daemon did not answer", "see: swimctl logs")
    assert (await tiers.room(service)).command == "swimctl logs"


# The trial.

REFUSED = Outcome(False, "full", "CONNECTION_LIMIT", 4002, "public", 5, 5)
BEFORE = TierPromise(connections=5, messages_per_second=10, current=1)


def judged(trial: Trial, counted: int = 5, *, is_whole: bool = True, now: TierPromise | None = BEFORE) -> str:
    trial.counted, trial.is_whole, trial.now = counted, is_whole, now
    return str(_judge("5", "public", BEFORE, trial).status)


def test_limit_holds_when_the_next_one_is_refused_as_promised() -> None:
    assert judged(Trial(4, REFUSED)) == "ok"


@pytest.mark.parametrize(
    "refused",
    [
        Outcome(False, "", "AUTH_FAILED", 4001),
        Outcome(False, "", "CONNECTION_LIMIT", 4001, "public", 5, 5),
        Outcome(False, "", None, 4002, "public", 5, 5),
        Outcome(False, "", "CONNECTION_LIMIT", 4002, "partner", 5, 5),
        Outcome(False, "", "CONNECTION_LIMIT", 4002, "public", 4, 5),
        Outcome(False, "", "CONNECTION_LIMIT", 4002, "public", 5, 50),
        Outcome(False, "", "CONNECTION_LIMIT", 4002),
    ],
    ids=range(7),
)
def test_refusal_that_is_not_as_promised_is_a_failure(refused: Outcome) -> None:
    assert judged(Trial(4, refused)) == "fail"


def test_more_than_promised_is_a_failure_even_when_one_is_refused() -> None:
    assert judged(Trial(6, REFUSED), counted=6) == "fail"


def test_no_end_is_a_failure() -> None:
    assert judged(Trial(29)) == "fail"


def test_what_can_not_be_tried_is_a_warning_not_a_proof() -> None:
    assert judged(Trial(3), is_whole=False) == "warn"


def test_limit_that_was_changed_meanwhile_is_unknown() -> None:
    assert judged(Trial(4, REFUSED), now=TierPromise(connections=7, messages_per_second=10, current=1)) == "unknown"


def test_client_that_gets_no_answer_is_a_failure() -> None:
    assert judged(Trial(2, None, "no answer within 15 s")) == "fail"
