"""A doctor report for a pipe, Nagios or Prometheus. Pure functions of the report, without ``rich``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.check import Status
from swimctl.text import clean, plural

if TYPE_CHECKING:
    from swimctl.doctor.check import Check
    from swimctl.doctor.report import Report

NAGIOS_CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


def lines(report: Report) -> list[str]:
    """Return one line per check for scripts: status, id, observed, fix, separated by tabs."""
    rows = [(str(each.status), each.id, each.observed, each.command or "-") for each in report.results]
    return ["\t".join(clean(cell) for cell in row) for row in rows] + [
        f"fixed\t-\t{clean(line)}\t-" for line in report.changed
    ]


def listing(checks: Sequence[Check]) -> list[dict[str, str]]:
    """Return the rows of ``--list``."""
    found = []
    for check in checks:
        marks = [("deep", check.is_deep), ("outside", check.is_outside), ("fix", check.repair is not None)]
        found.append(
            {
                "id": check.id,
                "area": check.area,
                "summary": check.summary,
                "when": ", ".join(name for name, holds in marks if holds),
                "needs": ", ".join(check.needs),
            }
        )
    return found


def nagios(report: Report) -> tuple[str, int]:
    """Return one line of a Nagios plugin with performance data, and the plugin's exit code."""
    problems = report.problems
    statuses = {each.status for each in problems}
    if Status.FAIL in statuses or (report.is_strict and Status.WARN in statuses):
        word = "CRITICAL"
    elif Status.UNKNOWN in statuses:
        word = "UNKNOWN"
    else:
        word = "WARNING" if statuses else "OK"
    told = "; ".join(f"{each.id}: {each.observed}" for each in problems[:3])
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    text = f"{told}{more}" if problems else plural(report.count(Status.OK), "check") + " well"
    data = " ".join(f"{status}={report.count(status)}" for status in Status)
    line = clean(f"SWIM {word} - {text}").replace("|", "/")
    return f"{line} | {data} seconds={report.seconds:g}s", NAGIOS_CODES[word]


def prometheus(report: Report, unix_seconds: float) -> str:
    """Format metrics for the node exporter's textfile collector; write them beside the target and rename."""
    rows = ["# HELP swim_doctor_ok Whether all checks passed.", "# TYPE swim_doctor_ok gauge"]
    rows.append(f"swim_doctor_ok {int(report.is_ok)}")
    rows += [
        "# HELP swim_doctor_check Result of one check: 1 for its status, 0 for the others.",
        "# TYPE swim_doctor_check gauge",
    ]
    for each in report.results:
        for status in Status:
            labels = f'area="{each.area}",check="{each.id}",status="{status}"'
            rows.append(f"swim_doctor_check{{{labels}}} {int(each.status is status)}")
    rows += ["# HELP swim_doctor_check_seconds How long the check took.", "# TYPE swim_doctor_check_seconds gauge"]
    rows += [f'swim_doctor_check_seconds{{check="{each.id}"}} {each.seconds:g}' for each in report.results]
    rows += ["# HELP swim_doctor_seconds How long the whole run took.", "# TYPE swim_doctor_seconds gauge"]
    rows.append(f"swim_doctor_seconds {report.seconds:g}")
    rows += ["# HELP swim_doctor_run_time_seconds When it ran.", "# TYPE swim_doctor_run_time_seconds gauge"]
    rows.append(f"swim_doctor_run_time_seconds {unix_seconds:.3f}")
    return "\n".join(rows)
