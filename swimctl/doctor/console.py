"""What ``swimctl doctor`` writes: reports, explanations, files of facts, bundles."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.request import Format
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.doctor.diagnose import Doctor
    from swimctl.doctor.report import Report
    from swimctl.invocation import Invocation
    from swimctl.output import Output


def write(output: Output, format: Format, report: Report) -> int:
    """Write a report; return the exit code."""
    if format is Format.JSON:
        output.document(report.document())
        return report.exit_code
    from swimctl.render import doctor as render

    if format is Format.NAGIOS:
        line, code = render.nagios(report)
        output.line(line)
        return code
    if format is Format.PROMETHEUS:
        output.line(render.prometheus(report, time.time()))
    elif output.is_terminal:
        from swimctl.render.doctor_picture import picture

        output.console(output.width).print(picture(report), crop=False)  # never cut what is to be pasted
    else:
        for line in render.lines(report):
            output.line(line)
    return report.exit_code


def explain(output: Output, doctor: Doctor, report: Report, id: str) -> int:
    """Write the path to a check, with the facts of each step."""
    from swimctl.doctor.explain import document

    steps = doctor.explain(id)
    if output.as_json:
        output.document(document(id, steps))
        return report.exit_code
    from swimctl.render.doctor_explain import explained, explained_lines

    if output.is_terminal:
        output.console(output.width).print(explained(steps))
    else:
        for line in explained_lines(steps):
            output.line(line)
    return report.exit_code


def save_facts(invocation: Invocation, doctor: Doctor, path: Path) -> None:
    """Write all observations to a file. Raises CommandFailed."""
    from swimctl.doctor.bundle import known_secrets
    from swimctl.doctor.saved_facts import write_facts

    run = doctor.run()
    try:
        write_facts(path, run, known_secrets(invocation, os.environ))
    except OSError as error:
        raise CommandFailed(f"--save-facts: {path} can't be written: {error.strerror}") from None
    invocation.messages().line(
        f"written: {path}, {len(run.facts)} facts; evaluate them with: swimctl doctor --facts {path}"
    )


def bundle(invocation: Invocation, doctor: Doctor, report: Report, path: Path, *, yes: bool) -> None:
    """List what the bundle will contain, ask, and write it."""
    from swimctl.doctor.bundle import archive_kind, collect
    from swimctl.doctor.bundle import write as write_bundle
    from swimctl.output import confirm
    from swimctl.text import size

    kind = archive_kind(path)
    messages = invocation.messages()
    contents = collect(invocation, report, doctor.run(), os.environ)
    messages.line(f"{path} will hold, with secrets removed:")
    for name, data in contents.items():
        messages.line(f"  {name:<28}{size(len(data)):>12}")
    if confirm(f"Write {path}?", yes=yes):
        write_bundle(path, kind, contents)
        messages.line(f"written: {path}")
    else:
        messages.line("not written")
