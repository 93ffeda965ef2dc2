"""Runs scenarios against an adapter: the scripted server on one side, commands and reports on the other."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from swim_conformance.adapter import Adapter, AdapterFailed
from swim_conformance.judge import Run, judge, number_of
from swim_conformance.scenario import Scenario
from swim_conformance.scripted_server import ScriptedServer

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"
STEP_SECONDS = 20.0
ENDING_SECONDS = 10.0
SETTLE_SECONDS = 0.15
"""How long to wait for anything beyond what is expected."""
AT_ONCE = 16


@dataclass(frozen=True)
class Result:
    """The result of one scenario for one client."""

    scenario: Scenario
    is_judged: bool
    """False: the adapter can't do what the scenario needs."""
    problems: Sequence[str] = ()

    @property
    def has_passed(self) -> bool:
        """Whether it was judged and nothing was wrong."""
        return self.is_judged and not self.problems


async def run_all(
    adapter: Adapter,
    scenarios: Sequence[Scenario],
    *,
    at_once: int = AT_ONCE,
    options: Mapping[str, Any] | None = None,
    step_seconds: float = STEP_SECONDS,
    again: int = 0,
) -> list[Result]:
    """Run scenarios, several at once. Results are in the order of the scenarios.

    ``options`` override those of the scenarios: ``{"resume": False}`` shows what a client without resume loses.
    ``step_seconds`` is how long a client may take for anything a scenario waits for. ``again``: how often a failed
    scenario is repeated, alone, as pauses get longer on a busy machine.
    """
    places = asyncio.Semaphore(at_once)

    async def one(number: int, scenario: Scenario) -> Result:
        if not scenario.needs <= adapter.can:
            return Result(scenario, is_judged=False)
        async with places:
            changed = replace(scenario, options={**scenario.options, **(options or {})})
            return await run_one(adapter, changed, f"c{number}", step_seconds=step_seconds)

    results = await asyncio.gather(*(one(number, scenario) for number, scenario in enumerate(scenarios)))
    for attempt in range(again):
        for number, result in enumerate(results):
            if result.problems:
                changed = replace(result.scenario, options={**result.scenario.options, **(options or {})})
                results[number] = await run_one(adapter, changed, f"c{number}-{attempt}", step_seconds=step_seconds)
    return results


async def run_one(adapter: Adapter, scenario: Scenario, client: str, *, step_seconds: float = STEP_SECONDS) -> Result:
    """Run one scenario."""
    with tempfile.TemporaryDirectory(prefix="swim-conformance-", ignore_cleanup_errors=True) as folder:
        async with ScriptedServer(scenario.server) as server:
            trial = _Trial(_Client(adapter, client), scenario, server, Path(folder), step_seconds)
            try:
                await trial.play()
            except AdapterFailed as failed:
                trial.problems.append(str(failed))
            run = Run(
                reports=list(adapter.reports(client)),
                log=list(server.log),
                ids=dict(server.history.ids),
                key=KEY,
                failures=[*trial.problems, *server.failures],
            )
    return Result(scenario, is_judged=True, problems=judge(scenario.expect, run))


class _Client(NamedTuple):
    """One client of an adapter."""

    adapter: Adapter
    name: str

    async def tell(self, command: Mapping[str, Any]) -> None:
        await self.adapter.tell(self.name, command)


class _Trial:
    """One scenario with one client and its server."""

    def __init__(
        self, client: _Client, scenario: Scenario, server: ScriptedServer, folder: Path, step_seconds: float
    ) -> None:
        self.problems: list[str] = []
        self._client = client
        self._scenario = scenario
        self._server = server
        self._folder = folder
        self._step_seconds = step_seconds
        self._seen_kinds: Counter[str] = Counter()

    async def play(self) -> None:
        self._client.adapter.on_report(self._client.name, self._signal)
        await self._create({})
        for step in self._scenario.steps:
            if not await self._play_step(step):
                return
        await self._finish()

    def _signal(self, report: dict[str, Any]) -> None:
        """Signal to the server's steps what the client saw: ``event:3``, ``subscribed:1``, ``heartbeat:2``."""
        kind = "heartbeat" if report.get("type") == "system.heartbeat" else report["saw"]
        if kind == "event":
            self._server.signal(f"event:{number_of(report)}")
        else:
            self._seen_kinds[kind] += 1
            self._server.signal(f"{kind}:{self._seen_kinds[kind]}")

    async def _create(self, more: dict[str, Any]) -> None:
        options = {**self._scenario.options, **more}
        if options.get("resume_file"):
            options["resume_file"] = str(self._folder / "position.json")
        await self._client.tell({"do": "create", "url": self._server.url, "key": KEY, "options": options})

    async def _play_step(self, step: Any) -> bool:
        """Play one step; return False if it failed and the following ones are pointless."""
        try:
            if step.get("do") == "create":
                await self._create(step.get("options", {}))
            elif "do" in step:
                await self._client.tell(step)
            elif "until" in step:
                await self._seen(step["until"], int(step.get("count", 1)))
            elif "until_server" in step:
                await self._server.signalled(step["until_server"], self._step_seconds)
            elif "signal" in step:
                self._server.signal(step["signal"])
            elif "sleep" in step:
                await asyncio.sleep(step["sleep"])
            else:
                raise AssertionError(f"unknown client step {step}")
        except TimeoutError:
            self.problems.append(f"waited in vain: {step}")
            return False
        return True

    async def _seen(self, pattern: Any, count: int = 1, seconds: float | None = None) -> None:
        seconds = self._step_seconds if seconds is None else seconds
        await self._client.adapter.seen(
            self._client.name, pattern, count=count, seconds=seconds, ids=self._server.history.ids
        )

    async def _finish(self) -> None:
        expect = self._scenario.expect
        try:
            wanted = len(expect.get("events", ()))
            if wanted:
                await self._seen({"saw": "event", "data": {"n": {"any": True}}}, wanted)
            if expect.get("ended", "stopped") != "stopped":
                await self._seen({"saw": "ended"})
        except TimeoutError:
            pass  # the judge says what is missing
        await asyncio.sleep(expect.get("settle", SETTLE_SECONDS))
        await self._client.tell({"do": "disconnect"})
        try:
            await self._seen({"saw": "ended"}, seconds=ENDING_SECONDS)
        except TimeoutError:
            self.problems.append(f"disconnect: the client had not ended after {ENDING_SECONDS:g} s")
        await self._closings({one["connection"] for one in expect.get("closed", ())})

    async def _closings(self, connections: set[int]) -> None:
        """Wait until the server has seen these connections end, perhaps later than the client reports."""
        deadline = asyncio.get_running_loop().time() + ENDING_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if connections <= {entry["connection"] for entry in self._server.log if entry["what"] == "closed"}:
                return
            await asyncio.sleep(0.02)
