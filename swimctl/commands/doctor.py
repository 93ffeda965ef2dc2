"""``swimctl doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from swimctl.app import single_command
from swimctl.arguments.node import Node
from swimctl.completion.words import areas
from swimctl.doctor import command
from swimctl.doctor.request import Format, Request, chosen_format
from swimctl.invocation import invocation_of

app = single_command()

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="AREA|ID",
        autocompletion=areas,
        help="Only these checks or areas; repeatable, or separated by commas.",
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="AREA|ID", autocompletion=areas, help="Checks or areas to leave out."),
]
ListChecks = Annotated[bool, typer.Option("--list", help="List the checks without running them.")]
Fix = Annotated[bool, typer.Option("--fix", help="Fix what can be fixed safely, then check again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to the questions of --fix and --bundle.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as failures.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document; same as --format json.")]
ReportFormat = Annotated[Format, typer.Option("--format", help="text, json, nagios, prometheus.")]
Explain = Annotated[
    str | None,
    typer.Option(
        "--explain",
        metavar="CHECK",
        autocompletion=areas,
        help="Show the facts behind one check, and the checks it depends on.",
    ),
]
SaveFacts = Annotated[
    Path | None,
    typer.Option("--save-facts", metavar="FILE", help="Write all that was observed to a file, secrets removed."),
]
Facts = Annotated[
    Path | None,
    typer.Option("--facts", metavar="FILE", help="Evaluate the facts of a file or bundle instead of observing."),
]
Watch = Annotated[bool, typer.Option("--watch", help="Repeat until q or Ctrl-C; report what changes.")]
OnChange = Annotated[
    str | None,
    typer.Option(
        "--on-change",
        metavar="COMMAND",
        help="With --watch: run this, without a shell, for each change; JSON on its standard input.",
    ),
]
Interval = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=1, help="Time between two runs with --watch.")
]
Bundle = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Write a support bundle: .tar.gz or .zip.")
]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Check another service from outside; the key is read from SWIM_API_KEY."),
]
Deep = Annotated[
    bool, typer.Option("--deep", help="Also run checks that load the service: fill tiers to their limits.")
]
ExpectVersion = Annotated[
    str | None, typer.Option("--expect-version", metavar="V", help="Version that must be running.")
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Seconds that each check may take, for a slow machine."),
]


@app.command()
def doctor(
    context: typer.Context,
    *,
    only: Only = None,
    skip: Skip = None,
    list_checks: ListChecks = False,
    fix: Fix = False,
    yes: Yes = False,
    strict: Strict = False,
    as_json: Json = False,
    format: ReportFormat = Format.TEXT,
    explain: Explain = None,
    save_facts: SaveFacts = None,
    facts: Facts = None,
    watch: Watch = False,
    on_change: OnChange = None,
    interval: Interval = 5.0,
    bundle: Bundle = None,
    url: Url = None,
    deep: Deep = False,
    expect_version: ExpectVersion = None,
    timeout: Timeout = None,
    node: Node = None,
) -> int:
    """Prove that the deployed code is running and works as promised.

    Each check shows what was expected, what was observed and what to type. The root cause comes first, followed by what
    it explains. Exit code 0: all well (warnings too, without --strict), 1: something failed or could not be determined,
    3: the daemon is not running. With --node the checks run on that node's machine, which alone can look at its files;
    the commands to type are to be typed there.

    \b
    Examples:
      swimctl doctor
      swimctl doctor --only code,process
      swimctl doctor --json | jq '.checks[] | select(.status == "fail")'
      swimctl doctor --expect-version 1.4.0 --strict
      swimctl doctor --fix
      swimctl doctor --node swim-2
      swimctl doctor --explain stream.sources
      swimctl doctor --bundle help.tar.gz
      swimctl doctor --facts help.tar.gz
      swimctl doctor --watch --interval 60 --on-change /usr/local/bin/notify
      SWIM_API_KEY=… swimctl doctor --url wss://swim.example.org/api/swim/v1/ws
    """
    request = Request(
        only=tuple(only or ()), skip=tuple(skip or ()), list_checks=list_checks, fix=fix, yes=yes, strict=strict,
        format=chosen_format(format, as_json=as_json), explain=explain, save_facts=save_facts, facts=facts, watch=watch,
        on_change=on_change, interval=interval, bundle=bundle, url=url, deep=deep, expect_version=expect_version,
        timeout=timeout, node=node,
    )  # fmt: skip
    return command.run(invocation_of(context), request)
