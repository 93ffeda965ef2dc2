"""One whole run: choose, examine, mend where that is wanted, report."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from swimctl.doctor.catalogue import all_checks
from swimctl.doctor.check import Check, Repair, Result, Status
from swimctl.doctor.context import DoctorContext, Options
from swimctl.doctor.graph import Graph, fold
from swimctl.doctor.report import Report, is_absent
from swimctl.doctor.run import run_checks
from swimctl.doctor.selection import Selection, select
from swimctl.errors import CommandError

if TYPE_CHECKING:
    from swimctl.invocation import Invocation

P = ParamSpec("P")
T = TypeVar("T")
Agree = Callable[[str], bool]
"""Asks whether something may be done."""


class Doctor:
    """What was asked of it; ``examine`` and ``mend`` as often as one likes."""

    def __init__(
        self,
        invocation: Invocation,
        options: Options,
        *,
        only: Sequence[str] = (),
        skipped: Sequence[str] = (),
        is_strict: bool = False,
    ) -> None:
        self._invocation = invocation
        self._options = options
        self._is_strict = is_strict
        self._catalogue = all_checks()
        self.selection: Selection = select(
            self._catalogue, only, skipped, is_deep=options.is_deep, is_outside=options.url is not None
        )
        self.graph = Graph(self.selection.checks)

    def examine(self, changed: Sequence[str] = ()) -> Report:
        """Carry the checks out. Takes three seconds at most, without ``--deep``."""
        began = time.perf_counter()
        results = _run(self._examine())
        is_outside = self._options.url is not None
        roots = frozenset(
            check.id for check in self.selection.checks if check.is_root and check.is_outside == is_outside
        )
        return Report(
            subject=self._options.url or str(self._invocation.home.path),
            results=tuple(self.selection.shown(fold(results, self.graph), self._catalogue)),
            order=self.graph.order,
            seconds=round(time.perf_counter() - began, 3),
            is_strict=self._is_strict,
            is_absent=is_absent(results, roots),
            changed=tuple(changed),
        )

    async def _examine(self) -> list[Result]:
        context = DoctorContext(self._invocation, self._options)
        try:
            return await run_checks(self.selection.checks, context)
        finally:
            await context.close()

    def mend(self, report: Report, agree: Agree) -> list[str]:
        """Do what is safe about what did not come out well; say what was changed, and what could not be."""
        changed: list[str] = []
        for check, repair in self.repairs(report):
            if repair.question is not None and not agree(repair.question):
                continue
            try:
                changed += _run(self._mend(repair))
            except (CommandError, OSError) as error:
                problem = error.problem if isinstance(error, CommandError) else (error.strerror or str(error))
                changed.append(f"{check.id} could not be mended: {problem}")
        return changed

    async def _mend(self, repair: Repair) -> Sequence[str]:
        context = DoctorContext(self._invocation, self._options)
        try:
            return await repair.mend(context)
        finally:
            await context.close()

    def repairs(self, report: Report) -> list[tuple[Check, Repair]]:
        """Return what there is to mend."""
        bad = {each.id for each in report.results if each.status in (Status.FAIL, Status.WARN)}
        return [(check, check.repair) for check in self.selection.checks if check.repair and check.id in bad]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a loop whose threads may be left behind."""

    async def inside() -> T:
        asyncio.get_running_loop().set_default_executor(AbandonableThreads())
        return await work

    return asyncio.run(inside())


class AbandonableThreads(ThreadPoolExecutor):
    """An executor, for ``asyncio.to_thread``, that does not wait for its threads at the end. A thread each call."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin the call at once."""
        future: Future[T] = Future()
        threading.Thread(target=_fulfil, args=(future, fn, args, kwargs), daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nobody."""


def _fulfil(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  # whoever awaits it is told
        future.set_exception(error)
    else:
        future.set_result(result)
