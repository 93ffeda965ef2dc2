"""``swimctl doctor``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.completion.words import areas
from swimctl.doctor import console
from swimctl.doctor.console import Format
from swimctl.errors import WrongUsage
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.report import Report
    from swimctl.output import Output

app = single_command()


@app.command()
def doctor(
    context: typer.Context,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="AREA|ID",
            autocompletion=areas,
            help="Only these checks or areas; repeatable, or separated by commas.",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="AREA|ID", autocompletion=areas, help="Checks or areas to leave out."),
    ] = None,
    list_checks: Annotated[bool, typer.Option("--list", help="List the checks without running them.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed safely, then check again.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Answer yes to the questions of --fix and --bundle.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as failures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document; same as --format json.")] = False,
    format: Annotated[Format, typer.Option("--format", help="text, json, nagios, prometheus.")] = Format.TEXT,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="CHECK",
            autocompletion=areas,
            help="Show the facts behind one check, and the checks it depends on.",
        ),
    ] = None,
    save_facts: Annotated[
        Path | None,
        typer.Option("--save-facts", metavar="FILE", help="Write all that was observed to a file, secrets removed."),
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option("--facts", metavar="FILE", help="Evaluate the facts of a file or bundle instead of observing."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until q or Ctrl-C; report what changes.")] = False,
    on_change: Annotated[
        str | None,
        typer.Option(
            "--on-change",
            metavar="COMMAND",
            help="With --watch: run this, without a shell, for each change; JSON on its standard input.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=1, help="Time between two runs with --watch.")
    ] = 5.0,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Write a support bundle: .tar.gz or .zip.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Check another service from outside; the key is read from SWIM_API_KEY."
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also run checks that load the service: fill tiers to their limits.")
    ] = False,
    expect_version: Annotated[
        str | None, typer.Option("--expect-version", metavar="V", help="Version that must be running.")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1, help="Seconds that each check may take, for a slow machine."
        ),
    ] = None,
) -> int:
    """Prove that the deployed code is running and works as promised.

    Each check shows what was expected, what was observed and what to type. The root cause comes first, followed by what
    it explains. Exit code 0: all well (warnings too, without --strict), 1: something failed or could not be determined,
    3: the daemon is not running.

    \b
    Examples:
      swimctl doctor
      swimctl doctor --only code,process
      swimctl doctor --json | jq '.checks[] | select(.status == "fail")'
      swimctl doctor --expect-version 1.4.0 --strict
      swimctl doctor --fix
      swimctl doctor --explain stream.sources
      swimctl doctor --bundle help.tar.gz
      swimctl doctor --facts help.tar.gz
      swimctl doctor --watch --interval 60 --on-change /usr/local/bin/notify
      SWIM_API_KEY=… swimctl doctor --url wss://swim.example.org/api/swim/v1/ws
    """
    invocation = invocation_of(context)
    remote = invocation.remote(url)
    if remote is not None:
        invocation, url = replace(invocation, context=None), remote.url
    chosen = Format.JSON if as_json else format
    if as_json and format not in (Format.TEXT, Format.JSON):
        raise WrongUsage(f"--json and --format {format} exclude each other", "see: swimctl doctor --help")
    _refuse_contradictions(
        watch=watch, fix=fix, bundle=bundle, url=url, facts=facts, save_facts=save_facts, on_change=on_change,
        explain=explain, deep=deep,
    )  # fmt: skip
    output = invocation.output(as_json=chosen is Format.JSON)
    if list_checks:
        _list(output)
        return 0
    if explain is not None:
        only = [_known_check(explain)]
    found = _doctor(
        invocation, only, skip, strict=strict, deep=deep, expect_version=expect_version, url=url, timeout=timeout,
        api_key=None if remote is None else remote.api_key, facts=facts,
    )  # fmt: skip
    if watch:
        from swimctl.doctor.watching import watch_on

        return watch_on(found, output, invocation.messages(), chosen, interval, shlex.split(on_change or ""))
    report = found.examine()
    if fix:
        report = _fix(invocation, found, report, yes=yes)
    code = console.write(output, chosen, report) if explain is None else console.explain(output, found, report, explain)
    if save_facts is not None:
        console.save_facts(invocation, found, save_facts)
    if bundle is not None:
        console.bundle(invocation, found, report, bundle, yes=yes)
    return code


def _refuse_contradictions(
    *,
    watch: bool,
    fix: bool,
    bundle: Path | None,
    url: str | None,
    facts: Path | None,
    save_facts: Path | None,
    on_change: str | None,
    explain: str | None,
    deep: bool,
) -> None:
    """Refuse options that exclude each other. Raises WrongUsage."""
    if watch and (fix or bundle or save_facts or facts or explain):
        others = "--fix, --bundle, --explain, --save-facts or --facts"
        raise WrongUsage(f"--watch can't be combined with any of {others}", "see: swimctl doctor --help")
    if on_change is not None and not watch:
        raise WrongUsage("--on-change needs --watch", "swimctl doctor --watch --on-change COMMAND")
    if on_change is not None:
        console.check_program(on_change)
    if url is not None and (fix or bundle is not None):
        raise WrongUsage("--fix and --bundle work only on this machine's service", "leave out --url")
    if url is not None and not url.startswith(("ws://", "wss://")):
        raise WrongUsage(
            f"--url: {url!r} is not a ws:// or wss:// address", "like wss://swim.example.org/api/swim/v1/ws"
        )
    if facts is not None and (fix or bundle or save_facts or url or deep):
        raise WrongUsage("--facts evaluates what was observed: it observes and fixes nothing", "leave out the others")
    if bundle is not None:
        from swimctl.doctor.bundle import archive_kind

        archive_kind(bundle)


def _known_check(id: str) -> str:
    """Return the id of a check. Raises WrongUsage."""
    from swimctl.doctor.catalogue import all_checks
    from swimctl.doctor.selection import words

    words([id], all_checks(), "--explain")
    if "." not in id or "," in id:
        raise WrongUsage(f"--explain: {id!r} is not a check", "all checks: swimctl doctor --list")
    return id


def _doctor(
    invocation: Invocation,
    only: list[str] | None,
    skip: list[str] | None,
    *,
    strict: bool,
    deep: bool,
    expect_version: str | None,
    url: str | None,
    api_key: str | None,
    timeout: float | None,
    facts: Path | None,
) -> Doctor:
    from swimctl.doctor.context import Options
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.saved_facts import read_facts

    options = Options(
        is_deep=deep,
        expect_version=expect_version,
        url=url,
        api_key=api_key or invocation.environ.get("SWIM_API_KEY"),
        timeout_seconds=timeout,
    )
    saved = read_facts(facts) if facts is not None else None
    return Doctor(invocation, options, only=only or (), skipped=skip or (), is_strict=strict, saved=saved)


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


def _fix(invocation: Invocation, found: Doctor, report: Report, *, yes: bool) -> Report:
    """Mend, say what was changed, examine again."""
    from swimctl.output import confirm

    messages = invocation.messages()

    def agree(question: str) -> bool:
        if yes or sys.stdin.isatty():
            return confirm(question, yes=yes)
        messages.line(f"not done: {question} Can't ask: standard input is not a terminal; add --yes")
        return False

    if not found.repairs(report):
        messages.line("nothing can be fixed safely" if report.problems else "there is nothing to fix")
        return report
    changed = found.mend(report, agree)
    for line in changed:
        messages.line(line)
    return found.examine(changed)
