"""Doctor's report becomes a verdict, whatever doctor prints."""

from __future__ import annotations

import json

from swim_server.daemon.desk.doctor_runs import read_report


def test_report_is_counted_and_what_did_not_pass_is_kept() -> None:
    checks = [
        {"id": "a", "area": "x", "status": "ok", "expected": "", "observed": "", "fix": None, "seconds": 0.1},
        {"id": "b", "area": "x", "status": "failed", "expected": "1", "observed": "2", "fix": "do it", "seconds": 0.1},
    ]
    report = read_report(json.dumps({"ok": False, "checks": checks}).encode(), b"")
    assert (report.ok, report.counts) == (False, {"ok": 1, "failed": 1})
    assert [(each.id, each.fix) for each in report.findings] == [("b", "do it")]


def test_no_report_is_a_problem_in_its_last_words() -> None:
    report = read_report(b"", b"first\nerror: no such file\n")
    assert report.ok is None
    assert report.problem == "doctor gave no verdict: error: no such file"
    assert read_report(b"[]", b"").problem == "doctor gave no verdict: it said nothing"
