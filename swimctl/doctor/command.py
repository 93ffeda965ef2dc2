"""What ``swimctl doctor`` does, from its options to its exit code."""

from __future__ import annotations

import gc
import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from swimctl.doctor import console
from swimctl.doctor.request import Format, Request
from swimctl.errors import WrongUsage

if TYPE_CHECKING:
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.report import Report
    from swimctl.invocation import Invocation
    from swimctl.output import Output


def run(invocation: Invocation, request: Request) -> int:
    """Carry out the request and return the exit code. Raises CommandError."""
    remote = invocation.remote(request.url)
    if remote is not None:
        invocation = replace(invocation, context=None)
        request = replace(request, url=remote.url, api_key=remote.api_key)
    request.refuse_contradictions()
    output = invocation.output(as_json=request.format is Format.JSON)
    if request.list_checks:
        _list(output)
        return 0
    if request.node is not None:
        from swimctl.doctor.other_node import examine

        return console.write(output, request.format, examine(invocation, request, request.node))
    if request.explain is not None:
        request = replace(request, only=(_known_check(request.explain),))
    doctor = _doctor(invocation, request)
    if request.watch:
        from swimctl.doctor.watching import watch_on

        program = shlex.split(request.on_change or "")
        return watch_on(doctor, output, invocation.messages(), request.format, request.interval, program)
    return _examine(invocation, request, doctor, output)


def _examine(invocation: Invocation, request: Request, doctor: Doctor, output: Output) -> int:
    """Run the checks once, fix if asked to, and write report, facts and bundle."""
    gc.disable()  # the process ends soon: collecting would cost more than it frees
    report = doctor.examine()
    if request.fix:
        report = _fix(invocation, doctor, report, yes=request.yes)
    if request.explain is None:
        code = console.write(output, request.format, report)
    else:
        code = console.explain(output, doctor, report, request.explain)
    if request.save_facts is not None:
        console.save_facts(invocation, doctor, request.save_facts)
    if request.bundle is not None:
        console.bundle(invocation, doctor, report, request.bundle, yes=request.yes)
    return code


def _doctor(invocation: Invocation, request: Request) -> Doctor:
    from swimctl.doctor.context import Options
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.saved_facts import read_facts
    from swimctl.doctor.selection import Choice

    options = Options(
        is_deep=request.deep,
        expect_version=request.expect_version,
        url=request.url,
        api_key=request.api_key or invocation.environ.get("SWIM_API_KEY"),
        timeout_seconds=request.timeout,
    )
    saved = read_facts(request.facts) if request.facts is not None else None
    choice = Choice(request.only, request.skip)
    return Doctor(invocation, options, choice, is_strict=request.strict, saved=saved)


def _known_check(id: str) -> str:
    """Return the id of a check. Raises WrongUsage if there is no such check."""
    from swimctl.doctor.catalogue import all_checks
    from swimctl.doctor.selection import words

    words([id], all_checks(), "--explain")
    if "." not in id or "," in id:
        raise WrongUsage(f"--explain: {id!r} is not a check", "all checks: swimctl doctor --list")
    return id


def _list(output: Output) -> None:
    from swimctl.doctor.catalogue import all_checks
    from swimctl.render.doctor import listing
    from swimctl.table import Column

    columns = [
        Column("id", "check", style="cyan"),
        Column("summary", "what must hold", is_flexible=True),
        Column("when", "marks", style="dim"),
        Column("needs", "needs", style="dim", min_width=120),
    ]
    output.table(columns, listing(all_checks()))


def _fix(invocation: Invocation, doctor: Doctor, report: Report, *, yes: bool) -> Report:
    """Fix what can be fixed, report what was changed, and run the checks again."""
    from swimctl.output import confirm

    messages = invocation.messages()

    def agree(question: str) -> bool:
        if yes or sys.stdin.isatty():
            return confirm(question, yes=yes)
        messages.line(f"not done: {question} Can't ask: standard input is not a terminal; add --yes")
        return False

    if not doctor.repairs(report):
        messages.line("nothing can be fixed safely" if report.problems else "there is nothing to fix")
        return report
    changed = doctor.repair(report, agree)
    for line in changed:
        messages.line(line)
    return doctor.examine(changed)
