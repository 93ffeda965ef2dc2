"""How doctor's checks are run: concurrently, after their dependencies, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from swimctl.doctor.check import Answer, Check, Status, fail, ok, warn
from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.run import in_order, run_checks
from swimctl.invocation import Invocation

Ask = Callable[[DoctorContext], Awaitable[Answer]]


@pytest.fixture
def context(tmp_path: Path) -> DoctorContext:
    context = DoctorContext(Invocation(environ={"SWIM_HOME": str(tmp_path)}), Options())
    context.load_factor = 1.0  # however much else this machine does
    return context


def answering(answer: Answer) -> Ask:
    async def ask(context: DoctorContext) -> Answer:
        return answer

    return ask


def check(id: str, ask: Ask, *needs: str, timeout_seconds: float = 2.0) -> Check:
    return Check(id=id, summary=f"{id} holds", ask=ask, needs=needs, timeout_seconds=timeout_seconds)


GOOD = answering(ok("a", "a"))
BAD = answering(fail("a", "b", fix="mend it"))


async def test_results_come_in_the_order_of_the_checks_with_their_areas(context: DoctorContext) -> None:
    results = await run_checks([check("b.two", GOOD, "a.one"), check("a.one", GOOD)], context)
    assert [(each.id, each.area, each.status) for each in results] == [
        ("b.two", "b", Status.OK),
        ("a.one", "a", Status.OK),
    ]


async def test_check_whose_ground_is_gone_is_skipped_and_names_it(context: DoctorContext) -> None:
    results = await run_checks([check("a.one", BAD), check("b.two", GOOD, "a.one")], context)
    assert results[0].command == "mend it"
    assert (results[1].status, results[1].observed) == (Status.SKIP, "a.one is fail")


async def test_skipping_goes_on_down_the_line(context: DoctorContext) -> None:
    checks = [check("a.one", BAD), check("b.two", GOOD, "a.one"), check("c.three", GOOD, "b.two")]
    assert [each.status for each in await run_checks(checks, context)] == ["fail", "skip", "skip"]


async def test_warning_is_good_enough_ground(context: DoctorContext) -> None:
    checks = [check("a.one", answering(warn("a", "b"))), check("b.two", GOOD, "a.one")]
    assert [each.status for each in await run_checks(checks, context)] == ["warn", "ok"]


async def test_hanging_check_is_cut_off_and_unknown(context: DoctorContext) -> None:
    async def hang(context: DoctorContext) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    (result,) = await run_checks([check("a.one", hang, timeout_seconds=0.01)], context)
    assert (result.status, result.observed) == (Status.UNKNOWN, "no answer within 0.01 s")


async def test_check_that_breaks_is_unknown_and_the_others_go_on(context: DoctorContext) -> None:
    async def broken(context: DoctorContext) -> Answer:
        raise ValueError("oh")

    results = await run_checks([check("a.one", broken), check("b.two", GOOD)], context)
    assert [each.status for each in results] == ["unknown", "ok"]
    assert results[0].observed == "the check itself failed: ValueError: oh"


async def test_checks_run_side_by_side(context: DoctorContext) -> None:
    meeting = asyncio.Barrier(2)

    async def meet(context: DoctorContext) -> Answer:
        await meeting.wait()
        return ok("both", "both")

    results = await run_checks([check("a.one", meet), check("b.two", meet)], context)
    assert [each.status for each in results] == ["ok", "ok"]


def test_circle_of_needs_is_a_bug_that_is_told() -> None:
    with pytest.raises(AssertionError, match="in a circle"):
        in_order([check("a.one", GOOD, "b.two"), check("b.two", GOOD, "a.one")])


async def test_fact_is_found_out_once_for_all_who_ask(context: DoctorContext) -> None:
    found = 0

    async def find() -> int:
        nonlocal found
        found += 1
        return found

    assert await asyncio.gather(*(context.fact("x", find, "here") for _ in range(3))) == [1, 1, 1]
    await context.close()


async def test_what_loads_the_service_is_asked_when_all_else_has_been(context: DoctorContext) -> None:
    asked: list[str] = []

    def noting(name: str, seconds: float) -> Ask:
        async def ask(context: DoctorContext) -> Answer:
            await asyncio.sleep(seconds)
            asked.append(name)
            return ok("a", "a")

        return ask

    deep = Check(id="tiers.deep", summary="it holds", ask=noting("deep", 0), is_deep=True)
    results = await run_checks([deep, check("a.one", noting("one", 0.02)), check("b.two", noting("two", 0))], context)
    assert asked == ["two", "one", "deep"]
    assert [result.id for result in results] == ["tiers.deep", "a.one", "b.two"]
