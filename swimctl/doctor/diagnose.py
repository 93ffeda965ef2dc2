"""One whole run: select checks, examine, repair if asked to, report."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.abandonable_threads import run_to_end
from swimctl.doctor.catalogue import all_checks
from swimctl.doctor.check import Check, Repair, Result, Status
from swimctl.doctor.context import Circumstances, DoctorContext, Options
from swimctl.doctor.explain import Step, explain
from swimctl.doctor.facts import FactBook
from swimctl.doctor.graph import WEIGHT, Graph, with_causes
from swimctl.doctor.probes.neighbours import handover_between
from swimctl.doctor.report import Report, is_absent
from swimctl.doctor.restarts import without_hasty_restarts
from swimctl.doctor.run import run_checks
from swimctl.doctor.saved_facts import saved as saved_run
from swimctl.doctor.selection import Choice, Selection, select
from swimctl.errors import CommandError
from swimctl.invocation import Invocation

if TYPE_CHECKING:
    from swimctl.doctor.saved_facts import SavedRun

EVERYTHING = Choice()
MOST_RUNS, AGAIN_SECONDS = 3, 1.0
"""So often the checks are run while processes take over from each other, with a pause."""
Agree = Callable[[str], bool]
"""Asks whether something may be done."""


class Doctor:
    """One user's request; ``examine`` and ``repair`` may be called repeatedly."""

    def __init__(
        self,
        invocation: Invocation,
        options: Options,
        choice: Choice = EVERYTHING,
        *,
        is_strict: bool = False,
        saved: SavedRun | None = None,
    ) -> None:
        self._invocation = invocation
        self._options = options
        self._is_strict = is_strict
        self._saved = saved
        self._catalogue = all_checks()
        if saved is not None:
            self._invocation = Invocation(environ={"SWIM_HOME": str(saved.circumstances.home)})
            self._options = options = _options_of(saved, options)
            known = {check.id for check in self._catalogue}
            choice = choice if choice.only else choice._replace(only=[id for id in saved.checks if id in known])
        self.selection: Selection = select(
            self._catalogue, choice, is_deep=options.is_deep, is_outside=options.url is not None
        )
        self.graph = Graph(self.selection.checks)
        self.results: list[Result] = []
        """All results of the last run, including those that are not shown."""
        self.book = FactBook()
        """The observations of the last run."""
        self._circumstances: Circumstances | None = None

    def examine(self, changed: Sequence[str] = ()) -> Report:
        """Run the checks. Takes up to three seconds, without ``--deep``."""
        began = time.perf_counter()
        self.results = without_hasty_restarts(with_causes(run_to_end(self._examine()), self.graph))
        is_outside = self._options.url is not None
        roots = frozenset(
            check.id for check in self.selection.checks if check.is_root and check.is_outside == is_outside
        )
        return Report(
            subject=self._subject(),
            results=tuple(self.selection.shown(self.results, self._catalogue)),
            order=self.graph.order,
            seconds=round(time.perf_counter() - began, 3),
            is_strict=self._is_strict,
            is_absent=is_absent(self.results, roots),
            changed=tuple(changed),
        )

    def _subject(self) -> str:
        subject = self._options.url or str(self._invocation.home.path)
        if self._saved is None:
            return subject
        return f"{subject}, by facts of {time.strftime('%F %T', time.localtime(self._saved.circumstances.at))}"

    def run(self) -> SavedRun:
        """Return the observations of the last run, in the form that is written to a file."""
        assert self._circumstances is not None, "examine comes first"
        asked = (check.id for check in self.selection.asked)
        return saved_run(self.book, self._circumstances, self._options, asked)

    def explain(self, id: str) -> list[Step]:
        """Return the path to a check of the last run, with the facts of each step."""
        return explain(id, self.results, self.graph, self.book)

    async def _examine(self) -> list[Result]:
        """Run the checks; again if something is wrong and another process has taken over meanwhile.

        What was asked of one process is not true of its successor: it does not know the former's temporary keys.
        """
        is_here = self._saved is None and self._options.url is None and not self._options.is_deep
        for _ in range(MOST_RUNS - 1 if is_here else 0):
            before = await asyncio.to_thread(self._serving)
            results = await self._run_checks()
            is_well = not any(each.status in WEIGHT for each in results)
            if is_well or not await asyncio.to_thread(self._is_changing, before):
                return results
            await asyncio.sleep(AGAIN_SECONDS)
        return await self._run_checks()

    def _is_changing(self, before: tuple[int, float | None] | None) -> bool:
        """Return True if another process serves than before, or is about to."""
        return self._serving() != before or bool(handover_between(DoctorContext(self._invocation, self._options)))

    def _serving(self) -> tuple[int, float | None] | None:
        """Return which process the lockfile names; None: none."""
        from swim_server.daemon.lockfile import Lockfile

        with contextlib.suppress(OSError):
            info = Lockfile(self._invocation.home.lockfile).read()
            return None if info is None else (info.pid, info.process_started)
        return None

    async def _run_checks(self) -> list[Result]:
        if self._saved is None:
            context = DoctorContext(self._invocation, self._options)
        else:
            circumstances = self._saved.circumstances
            context = DoctorContext(
                self._invocation, self._options, facts=self._saved.book, circumstances=circumstances
            )
        self.book, self._circumstances = context.facts, context.circumstances
        try:
            return await run_checks(self.selection.checks, context)
        finally:
            await context.close()

    def repair(self, report: Report, agree: Agree) -> list[str]:
        """Apply the safe repairs of failed checks; return what was changed, and what could not be."""
        changed: list[str] = []
        for check, repair in self.repairs(report):
            if repair.question is not None and not agree(repair.question):
                continue
            try:
                changed += run_to_end(self._apply(repair))
            except (CommandError, OSError) as error:
                problem = error.problem if isinstance(error, CommandError) else (error.strerror or str(error))
                changed.append(f"{check.id} could not be fixed: {problem}")
        return changed

    async def _apply(self, repair: Repair) -> Sequence[str]:
        context = DoctorContext(self._invocation, self._options)
        try:
            return await repair.apply(context)
        finally:
            await context.close()

    def repairs(self, report: Report) -> list[tuple[Check, Repair]]:
        """Return the repairs that can be applied."""
        bad = {each.id for each in report.results if each.status in (Status.FAIL, Status.WARN)}
        return [(check, check.repair) for check in self.selection.checks if check.repair and check.id in bad]


def _options_of(saved: SavedRun, options: Options) -> Options:
    """Return the options under which the facts were observed; only the expected version may be replaced."""
    found = saved.options
    expected = options.expect_version or found.expect_version
    return msgspec.structs.replace(found, expect_version=expected)
