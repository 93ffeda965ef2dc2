"""``swimctl doctor``."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swimctl.app import single_command
from swimctl.completion.words import areas
from swimctl.errors import WrongUsage
from swimctl.invocation import Invocation, invocation_of

if TYPE_CHECKING:
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.report import Report
    from swimctl.output import Output

app = single_command()


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    JSON = "json"
    NAGIOS = "nagios"
    PROMETHEUS = "prometheus"


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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document: --format json.")] = False,
    format: Annotated[Format, typer.Option("--format", help="text, json, nagios, prometheus.")] = Format.TEXT,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=1, help="Time between two runs with --watch.")
    ] = 5.0,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Pack what a helper would ask for: .tar.gz, .zip.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help="Check another service from outside; the key is read from SWIM_API_KEY."
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also what loads the service: tiers filled to their limit.")
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
    """Prove that what runs is what was deployed, and that it keeps its promises.

    Each check tells what was expected, what was observed and what to type; what is broken at the root comes first,
    what stands on it is skipped. Exit code 0: all well (warnings too, without --strict), 1: something failed or could
    not be found out, 3: the daemon is not running.

    \b
    Examples:
      swimctl doctor
      swimctl doctor --only code,process
      swimctl doctor --json | jq '.checks[] | select(.status == "fail")'
      swimctl doctor --expect-version 1.4.0 --strict
      swimctl doctor --fix
      swimctl doctor --bundle help.tar.gz
      SWIM_API_KEY=… swimctl doctor --url wss://swim.example.org/api/swim/v1/ws
    """
    invocation = invocation_of(context)
    remote = invocation.remote(url)
    if remote is not None:
        invocation, url = replace(invocation, context=None), remote.url
    chosen = Format.JSON if as_json else format
    if as_json and format not in (Format.TEXT, Format.JSON):
        raise WrongUsage(f"--json and --format {format} exclude each other", "see: swimctl doctor --help")
    if watch and (fix or bundle is not None):
        raise WrongUsage("--watch goes with neither --fix nor --bundle", "see: swimctl doctor --help")
    if url is not None and (fix or bundle is not None):
        raise WrongUsage("--fix and --bundle are for the service of this machine", "leave --url away")
    if url is not None and not url.startswith(("ws://", "wss://")):
        raise WrongUsage(f"--url: {url!r} is no ws:// or wss:// address", "like wss://swim.example.org/api/swim/v1/ws")
    if bundle is not None:
        from swimctl.doctor.bundle import archive_kind

        archive_kind(bundle)
    output = invocation.output(as_json=chosen is Format.JSON)
    if list_checks:
        _list(output)
        return 0
    found = _doctor(
        invocation, only, skip, strict=strict, deep=deep, expect_version=expect_version, url=url, timeout=timeout,
        api_key=None if remote is None else remote.api_key,
    )  # fmt: skip
    if watch:
        return _watch(found, output, chosen, interval)
    report = found.examine()
    if fix:
        report = _fix(invocation, found, report, yes=yes)
    code = _write(output, chosen, report)
    if bundle is not None:
        _bundle(invocation, report, bundle, yes=yes)
    return code


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
) -> Doctor:
    from swimctl.doctor.context import Options
    from swimctl.doctor.diagnose import Doctor

    options = Options(
        is_deep=deep,
        expect_version=expect_version,
        url=url,
        api_key=api_key or invocation.environ.get("SWIM_API_KEY"),
        timeout_seconds=timeout,
    )
    return Doctor(invocation, options, only=only or (), skipped=skip or (), is_strict=strict)


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


def _write(output: Output, format: Format, report: Report) -> int:
    from swimctl.render import doctor as render

    if format is Format.JSON:
        output.document(report.document())
    elif format is Format.NAGIOS:
        line, code = render.nagios(report)
        output.line(line)
        return code
    elif format is Format.PROMETHEUS:
        output.line(render.prometheus(report, time.time()))
    elif output.is_terminal:
        output.console(output.width).print(render.picture(report), crop=False)  # what is to be pasted is never cut
    else:
        for line in render.lines(report):
            output.line(line)
    return report.exit_code


def _fix(invocation: Invocation, found: Doctor, report: Report, *, yes: bool) -> Report:
    """Mend, say what was changed, examine again."""
    from swimctl.output import confirm

    messages = invocation.messages()

    def agree(question: str) -> bool:
        if yes or sys.stdin.isatty():
            return confirm(question, yes=yes)
        messages.line(f"not done: {question} Nobody was asked: standard input is no terminal; add --yes")
        return False

    if not found.repairs(report):
        messages.line("there is nothing that can be mended safely" if report.problems else "there is nothing to mend")
        return report
    changed = found.mend(report, agree)
    for line in changed:
        messages.line(line)
    return found.examine(changed)


def _watch(found: Doctor, output: Output, format: Format, interval: float) -> int:
    """Show report after report until Ctrl-C."""
    if not output.can_redraw or format is not Format.TEXT:
        while True:
            _write(output, format, found.examine())
            time.sleep(interval)
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from swimctl.render.doctor import picture

    with Live(console=output.console(), auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            report = found.examine()
            footer = Text(f"\n{time.strftime('%H:%M:%S')}, again every {interval:g} s; Ctrl-C ends", style="dim")
            live.update(Group(picture(report), footer), refresh=True)
            time.sleep(interval)


def _bundle(invocation: Invocation, report: Report, path: Path, *, yes: bool) -> None:
    from swimctl.doctor.bundle import archive_kind, collect, write
    from swimctl.output import confirm
    from swimctl.text import size

    kind = archive_kind(path)
    messages = invocation.messages()
    contents = collect(invocation, report, os.environ)
    messages.line(f"{path} will hold, with secrets removed:")
    for name, data in contents.items():
        messages.line(f"  {name:<28}{size(len(data)):>12}")
    if confirm(f"Write {path}?", yes=yes):
        write(path, kind, contents)
        messages.line(f"written: {path}")
    else:
        messages.line("not written")
