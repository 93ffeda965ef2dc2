"""The deep trial of the tiers' limits: real connections on a real daemon, and nothing of them left."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import dial, try_to_connect

from swimctl.doctor.catalogue import all_checks
from swimctl.doctor.check import Result
from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.run import run_checks
from swimctl.invocation import Invocation

CONFIG = """\
[tiers.public]
connections = 5
[tiers.developer]
connections = 20
connections_per_key = 3
[tiers.partner]
connections = 40
[tiers.system]
connections = 400
"""
TRIALS = [f"tiers.{tier}-limit-holds" for tier in ("public", "developer", "partner", "system")]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("trial"), config=CONFIG) as found:
        yield found


async def try_limits(daemon: LiveDaemon) -> dict[str, Result]:
    """Run the trials alone."""
    invocation = Invocation(config_path=daemon.config_path, environ=daemon.environ)
    context = DoctorContext(invocation, Options(is_deep=True, timeout_seconds=30))
    try:
        results = await run_checks([check for check in all_checks() if check.id in TRIALS], context)
        return {result.id: result for result in results}
    finally:
        await context.close()


async def test_every_limit_holds_and_nothing_is_left(daemon: LiveDaemon) -> None:
    results = await try_limits(daemon)
    assert {id: result.status for id, result in results.items()} == dict.fromkeys(TRIALS, "ok"), results
    assert results["tiers.system-limit-holds"].observed.endswith("the next one refused with 4002: 400 of 400")
    await_true(lambda: not any(daemon.counted().values()), what="the end of all connections")
    assert daemon.call("connections")["connections"][0]["tier"] == "local"
    assert "limit" not in daemon.status()["refused"]
    assert daemon.swimctl("keys", "list", "--state", "all", "--json").stdout.strip() in ("", "[]")


async def test_clients_stay_and_only_the_room_beside_them_is_tried(daemon: LiveDaemon) -> None:
    api_key = daemon.api_key("public")
    async with dial(daemon.url, api_key) as first, dial(daemon.url, api_key) as second:
        results = await try_limits(daemon)
        assert results["tiers.public-limit-holds"].observed.startswith("3 admitted beside 2 clients")
        for client in (first, second):
            assert (await client.ask("ping"))["type"] == "pong"


async def test_tier_that_is_full_is_tried_with_the_one_more_alone(daemon: LiveDaemon) -> None:
    api_key = daemon.api_key("developer")
    async with dial(daemon.url, api_key), dial(daemon.url, api_key), dial(daemon.url, api_key):
        assert (await try_to_connect(daemon.url, api_key))[1] == 4002
        assert (await try_limits(daemon))["tiers.developer-limit-holds"].status == "ok"


def test_doctor_that_is_killed_in_the_middle_leaves_nothing(daemon: LiveDaemon) -> None:
    process = daemon.spawn("doctor", "--deep", "--only", "tiers")
    await_true(
        lambda: process.poll() is not None or daemon.counted()["system"] > 20, seconds=60, what="the trial's beginning"
    )
    process.send_signal(signal.SIGKILL)
    await_true(lambda: not any(daemon.counted().values()), seconds=30, what="the end of all connections")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_doctor_that_is_interrupted_ends_soon_and_leaves_nothing(daemon: LiveDaemon, number: signal.Signals) -> None:
    process = daemon.spawn("doctor", "--deep", "--only", "tiers")
    await_true(
        lambda: process.poll() is not None or daemon.counted()["system"] > 20, seconds=60, what="the trial's beginning"
    )
    process.send_signal(number)
    process.wait(60)
    await_true(lambda: not any(daemon.counted().values()), seconds=30, what="the end of all connections")


def test_marker_row_is_removed(daemon: LiveDaemon) -> None:
    assert daemon.swimctl("doctor", "--only", "database", "--timeout", "30").returncode == 0
    listed = daemon.swimctl("keys", "list", "--state", "all", "--json").stdout
    assert "swimctl doctor" not in listed
    first = json.loads(daemon.swimctl("keys", "create", "--tier", "public", "--owner", "a", "--json").stdout)["id"]
    assert daemon.swimctl("doctor", "--only", "database.writable", "--timeout", "30").returncode == 0
    then = json.loads(daemon.swimctl("keys", "create", "--tier", "public", "--owner", "b", "--json").stdout)["id"]
    assert then == first + 1, "a doctor that is run from cron uses up no ids"
