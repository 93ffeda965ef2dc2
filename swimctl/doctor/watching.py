"""``swimctl doctor --watch``: runs again and again, reports changes, and runs a program for each."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.changes import Change, Watch
from swimctl.doctor.console import write
from swimctl.doctor.request import Format

if TYPE_CHECKING:
    from swimctl.doctor.diagnose import Doctor
    from swimctl.output import Output

PROGRAM_SECONDS = 30.0
"""How long a program of ``--on-change`` may take: watching waits for it, so that changes stay in order."""
SHOWN = 10


def watch_on(
    found: Doctor, output: Output, messages: Output, format: Format, interval: float, program: Sequence[str]
) -> int:
    """Watch until q or Ctrl-C: an updating display on a terminal, otherwise one line per change."""
    if format in (Format.NAGIOS, Format.PROMETHEUS):
        return _repeat(found, output, format, interval)
    watch = Watch()
    if output.can_redraw and format is Format.TEXT:
        return _draw(found, output, messages, watch, interval, program)
    while True:
        report = found.examine()
        for change in watch.see(report, time.time()):
            if format is Format.JSON:
                output.json_line(change.document(report.subject))
            else:
                output.line(change.line)
            tell(program, change, report.subject, messages)
        time.sleep(interval)


def _repeat(found: Doctor, output: Output, format: Format, interval: float) -> int:
    """Write a whole report again and again: these formats don't have changes."""
    while True:
        write(output, format, found.examine())
        time.sleep(interval)


def _draw(
    found: Doctor, output: Output, messages: Output, watch: Watch, interval: float, program: Sequence[str]
) -> int:
    from rich.console import Group
    from rich.text import Text

    from swimctl.live.ending import ending_signals
    from swimctl.live.screen import Screen, wants_to_quit
    from swimctl.render.doctor_picture import picture
    from swimctl.render.foot import Foot
    from swimctl.text import clean

    with ending_signals(), Screen(output.console()) as screen:
        while True:
            report = found.examine()
            for change in watch.see(report, time.time()):
                tell(program, change, report.subject, messages)
            changes = [Text(clean(each.line), style="dim") for each in reversed(watch.changes[-SHOWN:])]
            keys = Text(f"q quit · {time.strftime('%H:%M:%S')}, again every {interval:g} s", style="dim")
            shown = Foot(Group(picture(report, is_screen=True), Text(), *changes), [keys])
            deadline = time.monotonic() + interval
            while (left := deadline - time.monotonic()) > 0:
                screen.draw(shown)
                if wants_to_quit(screen.keys(left)):
                    return 0


def tell(program: Sequence[str], change: Change, subject: str, messages: Output) -> None:
    """Run the program with the change on its standard input. A failure is reported, and watching continues."""
    if not program:
        return
    text = json.dumps(change.document(subject), ensure_ascii=False) + "\n"
    try:
        done = subprocess.run(
            list(program), input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            timeout=PROGRAM_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        messages.line(f"--on-change: {program[0]} was ended after {PROGRAM_SECONDS:g} s ({change.check})")
    except OSError as error:
        messages.line(f"--on-change: {program[0]} could not be run: {error.strerror}")
    else:
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
            messages.line(f"--on-change: {program[0]} ended with {done.returncode} ({change.check}): {said}")
